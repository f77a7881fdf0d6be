FROM debian:12-slim
RUN env V=1.22.1-9 sh -c 'apt-get install -y nginx=$V'; su - root -c 'apt-get install -y curl=7.88.1-10'; chroot /mnt apt-get install -y no=1
