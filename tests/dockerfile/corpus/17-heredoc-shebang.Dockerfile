FROM debian:12-slim
RUN <<EOF
#!/bin/bash -e
apt-get install -y nginx=1.22.1-9
EOF
RUN <<EOF
#!/usr/bin/env python3
print('apt-get install curl=1')
EOF
