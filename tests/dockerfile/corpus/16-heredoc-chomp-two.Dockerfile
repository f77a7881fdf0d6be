FROM debian:12-slim
RUN cat <<-EOF > /etc/note && sh <<-SCRIPT
	apt-get install no=1
	EOF
	apt-get install -y nginx=1.22.1-9
	SCRIPT
