FROM debian:12-slim
RUN apt-get update \
    # tools
 && apt-get install -y --no-install-recommends \

      curl=7.88.1-10 \
      # server
      nginx=1.22.1-9 \
 && rm -rf /var/lib/apt/lists/*
