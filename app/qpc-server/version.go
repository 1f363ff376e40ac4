package main

import (
	"fmt"
	"runtime"

	"quicprochat/core/version"
)

type versionCmd struct{}

func (*versionCmd) Run(c *console) error {
	_, err := fmt.Fprintf(c.out, "qpc-server %s (%s, %s/%s)\n", version.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
