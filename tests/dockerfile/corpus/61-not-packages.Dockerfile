FROM debian:12-slim
RUN apt-get install -y ./x.deb /tmp/y.deb g++=4:12 libstdc++6 vim- && echo apt-get install no=1 && dpkg -l apt && apt-get remove -y gone=1
