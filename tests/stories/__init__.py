"""Stories over real HTTP, against the processes that `make up` starts."""
