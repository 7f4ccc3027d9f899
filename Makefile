# The two commands of this project, and their opposites. Everything they need they install and build themselves.
.PHONY: demo test down

## demo: from a fresh clone to a Ready tenant on a cluster of its own
demo:
	@dev/demo

## test: every check, as CI runs them
test:
	@dev/test

## down: stop the demo
down:
	@dev/cluster down --name demo
