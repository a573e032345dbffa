#!/bin/sh
# Runs myco with the flags that let it fit 64 MB. The bundle's own first line says the same in a
# way that busybox' env does not understand.

export UV_THREADPOOL_SIZE=1 MALLOC_ARENA_MAX=1
exec /usr/bin/node --max-old-space-size=24 --max-semi-space-size=1 --single-threaded \
	--v8-pool-size=0 /usr/lib/myco/myco.mjs "$@"
