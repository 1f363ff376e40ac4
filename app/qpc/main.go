// Command qpc is the messenger in a terminal: the client stack of the desktop
// app behind commands, for scripts, bots and end-to-end tests.
//
// Each call opens the profile, does one thing and closes it. With --json every
// line of output is one JSON object. It exits with 0 when done, 1 when it
// could not, 2 when the command line is wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/adrg/xdg"
	"github.com/alecthomas/kong"

	"quicprochat/core/version"
)

// commandLine is everything qpc understands.
type commandLine struct {
	globals

	Register      registerCommand      `cmd:"" help:"Create an account and this profile."`
	Login         loginCommand         `cmd:"" help:"Add this device to an account, in a new profile."`
	Recover       recoverCommand       `cmd:"" help:"Get into an account with its recovery code, in a new profile, and choose a new password."`
	Password      passwordCommand      `cmd:"" help:"Change the account's password."`
	Recovery      recoveryCommand      `cmd:"" help:"Make or remove the code that opens the account without its password."`
	DeleteAccount deleteAccountCommand `cmd:"" help:"Delete the account, for good, and this profile."`
	Whoami        whoamiCommand        `cmd:"" help:"Show the account and the device of this profile."`
	Status        statusCommand        `cmd:"" help:"Ask the server what waits for this device, and take nothing in."`
	Push          pushCommand          `cmd:"" help:"Be woken through a push service while not connected."`
	Contacts      contactsCommand      `cmd:"" help:"List the people this profile has met."`
	List          listCommand          `cmd:"" help:"List the conversations, newest first."`
	New           newCommand           `cmd:"" help:"Start a conversation with a person."`
	Group         groupCommand         `cmd:"" help:"Make and change groups."`
	Mute          muteCommand          `cmd:"" help:"Keep a conversation silent, on all devices."`
	Pin           pinCommand           `cmd:"" help:"Keep a conversation on top of the list, on all devices."`
	Block         blockCommand         `cmd:"" help:"Decline invitations of a person, on all devices."`
	Blocked       blockedCommand       `cmd:"" help:"List the people who are blocked."`
	Send          sendCommand          `cmd:"" help:"Send a text into a conversation."`
	History       historyCommand       `cmd:"" help:"Print a conversation."`
	Watch         watchCommand         `cmd:"" help:"Print messages as they arrive."`
	Report        reportCommand        `cmd:"" help:"Report a message to the operators of the server."`

	Moderation moderationCommand `cmd:"" help:"For operators of the server: see reports, ban accounts."`

	Version versionCommand `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

func (versionCommand) Run(s *session) error {
	return s.print(map[string]string{"version": version.Version}, version.Version)
}

func main() {
	os.Exit(run())
}

func run() int {
	var line commandLine
	parser := kong.Must(&line,
		kong.Name("qpc"),
		kong.Description("quicprochat in a terminal."),
		kong.Vars{"profile": filepath.Join(xdg.DataHome, "quicprochat", "qpc")},
		kong.Exit(func(code int) { os.Exit(min(code, 2)) }),
	)
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "qpc: %v\nTry \"qpc --help\".\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &session{globals: line.globals, ctx: ctx, out: os.Stdout}
	err = command.Run(s)
	if closeErr := s.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		s.printError(os.Stderr, err, sentence(err))
		return 1
	}
	return 0
}
