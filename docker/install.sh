#!/bin/sh
# install.sh FOLDER LOCK...: a virtual environment with the files of the locks and no others, compiled, with a CycloneDX list.
# Build secrets, none of which is in the image: `ca` (certificate authorities), `index` (address of a package index),
# `links` (address of a page or folder with wheels that the index does not have).
set -eu
folder=$1
shift
secret() { cat "/run/secrets/$1" 2>/dev/null || true; }
if test -s /run/secrets/ca; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi
if test -s /run/secrets/index; then UV_DEFAULT_INDEX=$(secret index); PIP_INDEX_URL=$UV_DEFAULT_INDEX; export UV_DEFAULT_INDEX PIP_INDEX_URL; fi
if test -s /run/secrets/links; then UV_FIND_LINKS=$(secret links); export UV_FIND_LINKS; fi
# without such a page, torch's own index has the build for CPUs
if test "${TORCH-}" = cpu && ! test -s /run/secrets/links; then export UV_TORCH_BACKEND=cpu; fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
export SOURCE_DATE_EPOCH=315532800 # no time of this build; a wheel cannot be older than 1980
python3 -m venv /opt/build
/opt/build/bin/pip install --quiet --require-hashes -r /build/images.lock

python3 -m venv --without-pip "$folder"
cat "$@" | sed '/^torch==[0-9.]*$/d' > /build/environment.lock # torch's entry without a hash: the variant's file has it
/opt/build/bin/uv pip install --quiet --python "$folder/bin/python" --no-deps --require-hashes \
  --build-constraints /build/images.lock -r /build/environment.lock

# the same bytecode each time: no times in it, and each process compiles the same files in the same order
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cd "$packages"
find . -name '*.py' | LC_ALL=C sort | xargs -n 500 -P "$(nproc)" \
  "$folder/bin/python" -m compileall -q --invalidation-mode unchecked-hash > /dev/null || true # templates are no Python

/opt/build/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
  --output-file "$folder/sbom.cdx.json" "$folder/bin/python"
