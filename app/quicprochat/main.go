// Command quicprochat is the desktop app: conversations in a window, and a
// server inside it for those who want to host one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"

	"quicprochat/core/version"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "quicprochat:", err)
		os.Exit(1)
	}
}

func run() error {
	flags := flag.NewFlagSet("quicprochat", flag.ContinueOnError)
	profile := flags.String("profile", filepath.Join(xdg.DataHome, "quicprochat", "profile"), "the profile's `directory`")
	mode := flags.String("theme", "", "`light`, dark or system; remembered where not given")
	script := flags.String("drive", "", "take JSON commands from a `file`, - for standard input")
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if *showVersion {
		fmt.Println("quicprochat", version.Version)
		return nil
	}
	return desktop(*profile, *mode, *script)
}
