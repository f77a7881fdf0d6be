"""Projects of the usual shapes, on a real Debian: what their package managers leave is the same.

Times do not count, nor what a package manager writes otherwise each time it runs.
"""

from __future__ import annotations

import re
import shutil

import pytest

from builder.differential.case import Case
from builder.differential.engines import BuildKit, Oakum
from builder.differential.record import differences
from oakum.builder import BuildRequest, build
from oakum.oci import parse_reference
from support.roots import debian_tar

_NOISE = re.compile(
    r"file (.*\.pyc$|var/log/|var/cache/(ldconfig|debconf|apt)/|var/lib/apt/|root/\.cache/)"
)
_APP = """from flask import Flask

app = Flask(__name__)
"""
PYTHON = Case(
    "projects",
    "a service with packages of PyPI, in an environment that a stage makes",
    {
        "file requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
        "file app/__init__.py": _APP,
        "file app/static/page.html": "<p>\n",
        "file .dockerignore": "*.md\nca.crt\n**/__pycache__\n",
        "file README.md": "not copied\n",
        "options": "--secret id=ca,src=@CONTEXT@/ca.crt\n",
        "context": "cp /etc/ssl/certs/ca-certificates.crt ca.crt",
        "Dockerfile": """FROM debian AS packages
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv
COPY requirements.txt .
RUN --mount=type=secret,id=ca,target=/run/ca.crt \\
    PIP_CERT=/run/ca.crt pip install --break-system-packages --no-compile \\
    --target=/srv/packages -r requirements.txt
FROM debian
ARG PORT=8000
ENV PYTHONPATH=/srv/packages PORT=${PORT}
RUN useradd --system --create-home --uid 900 app
WORKDIR /srv
COPY --from=packages /srv/packages packages
COPY --chown=app:app . .
USER app
RUN python3 -c "import app; print(app.app.name)" > /home/app/name
EXPOSE $PORT
HEALTHCHECK --interval=30s CMD curl -fs localhost:$PORT
ENTRYPOINT ["python3", "-m", "gunicorn"]
CMD ["app:app"]
""",
    },
)
SERVER = Case(
    "projects",
    "a web server with its pages and configuration, generated at build time",
    {
        "file site.conf": "server { listen 8080; root /var/www/site; }\n",
        "file pages/index.html": "<h1>\n",
        "file pages/sub/a b.html": "<p>\n",
        "file make": "#!/bin/sh\nset -e\nfor p in pages/*.html; do sed 's/<h1>/<h1>x/' $p; done\n",
        "context": "chmod 755 make",
        "Dockerfile": """FROM debian AS pages
WORKDIR /work
COPY make ./
COPY pages pages
RUN mkdir out && ./make > out/index.html && cp -a pages/sub out/
FROM debian
RUN rm -rf /var/www/html /etc/nginx/sites-enabled/default \\
 && ln -sf /dev/stdout /var/log/nginx/access.log \\
 && ln -sf /dev/stderr /var/log/nginx/error.log \\
 && chown -R www-data:www-data /var/lib/nginx
COPY site.conf /etc/nginx/sites-enabled/
COPY --from=pages --chown=www-data /work/out /var/www/site
RUN nginx -t 2>/dev/null
VOLUME /var/lib/nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
""",
    },
)
PROGRAM = Case(
    "projects",
    "a program in C, compiled in one stage and alone in the last",
    {
        "file src/main.c": '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n',
        "file Makefile": "hello: src/main.c\n\t$(CC) -O2 -static -o $@ $<\n",
        "Dockerfile": """FROM debian AS build
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev make \\
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make && strip hello
FROM build AS test
RUN ./hello > said
FROM scratch
COPY --from=build /src/hello /bin/hello
COPY --from=test /src/said /said
USER 65534:65534
ENTRYPOINT ["/bin/hello"]
""",
    },
)


@pytest.fixture(scope="module")
def debian(oakum: Oakum, buildkit: BuildKit) -> tuple[Oakum, BuildKit]:
    """The two builders with an image ``debian``."""
    for engine in (oakum, buildkit):
        place = engine.room / "debian"
        place.mkdir()
        root = debian_tar("nginx-light", "python3", "python3-pip", "curl")
        shutil.copy(root, place / "root.tar")
        (place / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    build(oakum.store, BuildRequest(oakum.room / "debian"), tags=(parse_reference("debian"),))
    buildkit.reference.build(buildkit.room / "debian", "--tag=debian")
    return oakum, buildkit


@pytest.mark.parametrize("case", [PYTHON, SERVER, PROGRAM], ids=lambda case: case.name)
def test_a_project_comes_out_the_same(case: Case, debian: tuple[Oakum, BuildKit]) -> None:
    oakum, buildkit = debian
    expected = buildkit.record(case)
    assert expected.error is None
    found, _ = oakum.record(case)
    differ = differences(expected, found, {})
    assert {what: both for what, both in differ.items() if not _NOISE.match(what)} == {}
