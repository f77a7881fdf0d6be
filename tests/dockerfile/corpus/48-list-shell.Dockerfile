FROM debian:12-slim
RUN buildDeps=" \
    gcc=4:12.2.0-3 \
    make \
  " && apt-get install -y $buildDeps && apt-get purge -y $buildDeps
