from debian:12
run	apt-get	install	-y	nginx=1.22.1-9	curl
