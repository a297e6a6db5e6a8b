#!/bin/bash
# Digests, ciphers, keys and signatures; what is timed runs, and its figures are not printed.
set -e
mkdir -p /tmp/openssl && cd /tmp/openssl
seq 1 200000 >data
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do openssl dgst -$digest data | sed 's/^.*= //'; done
openssl enc -aes-256-cbc -pbkdf2 -pass pass:secret -S 0102030405060708 -in data -out data.enc
openssl dgst -sha256 data.enc | sed 's/^.*= //'
openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:secret -S 0102030405060708 -in data.enc | cmp - data && echo "decrypted"
openssl genpkey -algorithm ED25519 -out key.pem 2>/dev/null
openssl pkey -in key.pem -pubout -out public.pem
openssl pkeyutl -sign -inkey key.pem -rawin -in data.enc -out signature
openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in data.enc -sigfile signature
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
openssl req -new -x509 -key ec.pem -subj /CN=guest -days 1 -out cert.pem -config /dev/null 2>/dev/null || true
openssl prime -hex 1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF | sed 's/  */ /g'
openssl speed -elapsed -seconds 1 -bytes 1024 sha256 2>/dev/null | tail -1 | grep -c sha256
cd / && rm -r /tmp/openssl
echo done
