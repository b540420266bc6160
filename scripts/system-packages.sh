#!/bin/sh
# Debian packages that some tests use: a browser for the report, the Fashion-MNIST images. Where they cannot be installed, those tests skip and say so.
set -u
missing=""
[ -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || missing="$missing dataset-fashion-mnist"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$missing (no apt-get here); the tests that use them will be skipped."
    exit 0
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
echo "Installing:$missing"
# shellcheck disable=SC2086
if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null; then
    echo "Could not install:$missing; the tests that use them will be skipped."
fi
