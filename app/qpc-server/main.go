// Command qpc-server is the headless quicprochat server: one static binary
// that keeps everything in one folder.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// cli lists the commands; each has a file of its own.
type cli struct {
	Quickstart   quickstartCmd   `cmd:"" help:"Set up a new server: configuration, keys, systemd unit and the first invite link."`
	Serve        serveCmd        `cmd:"" help:"Run the server until it is told to stop."`
	Check        checkCmd        `cmd:"" help:"Say what is wrong with the server's set-up, in words."`
	Stats        statsCmd        `cmd:"" help:"Say how much the server keeps. Names nobody."`
	Invite       inviteCmds      `cmd:"" help:"Make, list and revoke invite links. Works while the server runs."`
	User         userCmd         `cmd:"" help:"Look at accounts and their roles. Works while the server runs."`
	Ban          banCmd          `cmd:"" help:"Keep an account out. Works while the server runs."`
	Unban        unbanCmd        `cmd:"" help:"Let an account in again. Works while the server runs."`
	Backup       backupCmd       `cmd:"" help:"Write everything into one file, while the server runs."`
	Restore      restoreCmd      `cmd:"" help:"Bring a backup back into an empty folder."`
	Verify       verifyCmd       `cmd:"" help:"Look through the server's data, or a backup, for damage. Works while the server runs."`
	MigrateStore migrateStoreCmd `cmd:"" help:"Move everything from the database file to PostgreSQL, or back."`
	Version      versionCmd      `cmd:"" help:"Print the version."`
}

// console is where a command gets its surroundings from.
type console struct {
	out, err io.Writer
	environ  []string
}

func main() {
	os.Exit(run(os.Args[1:], &console{out: os.Stdout, err: os.Stderr, environ: os.Environ()}))
}

func run(args []string, c *console) int {
	status := -1
	parser := newParser(c, func(code int) { status = code })
	ctx, err := parser.Parse(args)
	if status >= 0 {
		return status
	}
	if err != nil {
		fmt.Fprintf(c.err, "qpc-server: %v\nTry \"qpc-server --help\".\n", err)
		return 2
	}
	if err := ctx.Run(c); err != nil {
		fmt.Fprintf(c.err, "qpc-server: %v\n", err)
		return 1
	}
	return 0
}

func newParser(c *console, exit func(int)) *kong.Kong {
	return kong.Must(&cli{},
		kong.Name("qpc-server"),
		kong.Description("The quicprochat server. \"qpc-server quickstart\" is where to begin."),
		kong.Writers(c.out, c.err),
		kong.Exit(exit),
		kong.UsageOnError(),
	)
}
