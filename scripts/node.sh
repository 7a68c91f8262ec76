#!/bin/sh
# Starts a program of this repository with the Node of PATH: /bin/sh scripts/node.sh scripts/setup.mjs --tests
#
# Node obeys these variables before it runs the program, so the program itself could not refuse them: they make Node load other code, talk to
# a debugger or a parent, or write files. Only special builtins are used: no function and no program of the caller takes their place.
unset NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE NODE_COMPILE_CACHE NODE_V8_COVERAGE NODE_REDIRECT_WARNINGS NODE_ICU_DATA
unset NODE_CHANNEL_FD NODE_UNIQUE_ID NODE_TLS_REJECT_UNAUTHORIZED OPENSSL_CONF OPENSSL_CONF_INCLUDE OPENSSL_MODULES OPENSSL_ENGINES
exec node "$@"
