package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"quicprochat/core/client"
)

// globals are the flags that every command takes.
type globals struct {
	Profile      string        `help:"Directory of the profile." default:"${profile}" env:"QPC_PROFILE" type:"path" placeholder:"DIR"`
	JSON         bool          `help:"Print JSON, one object a line." name:"json"`
	PasswordFile string        `help:"Read the password from the first line of this file (or set QPC_PASSWORD; otherwise it is asked for)." type:"existingfile" placeholder:"FILE"`
	Timeout      time.Duration `help:"Give up waiting for the server after this long." default:"30s"`
}

// session is one call of the program: where it prints, and the client once a
// command has opened it.
type session struct {
	globals
	ctx    context.Context
	out    io.Writer
	client *client.Client
}

func (s *session) options() client.Options {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "terminal"
	}
	return client.Options{Dir: s.Profile, DeviceName: "qpc on " + host}
}

// open unlocks the profile. Commands that need the server call online too.
func (s *session) open() (*client.Client, error) {
	if !client.HasProfile(s.Profile) {
		return nil, client.ErrNoProfile
	}
	password, err := s.password(false)
	if err != nil {
		return nil, err
	}
	s.client, err = client.Open(s.ctx, s.options(), password)
	return s.client, err
}

// online unlocks the profile and waits until it is connected and has taken in
// everything that waited on the server.
func (s *session) online() (*client.Client, error) {
	c, err := s.open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	return c, s.sync(ctx)
}

// sync turns a wait that timed out into the reason why there is no connection.
func (s *session) sync(ctx context.Context) error {
	err := s.client.Sync(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		if reason := s.client.Connection().Err; reason != nil {
			return reason
		}
		return client.ErrOffline
	}
	return err
}

func (s *session) close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// notice is an error of this program's own, as a sentence for a person.
type notice string

func (n notice) Error() string { return string(n) }

// sentence says to a person what went wrong.
func sentence(err error) string {
	if n, ok := errors.AsType[notice](err); ok {
		return string(n)
	}
	return client.UserMessage(err)
}

// password comes from the file, the environment, or the terminal, where a new
// one is asked for twice. It never comes from an argument, which other
// processes could read.
func (s *session) password(isNew bool) (string, error) {
	return secret{
		file: s.PasswordFile, env: "QPC_PASSWORD", prompt: "Password: ", twice: isNew,
		missing: "There is no password: set QPC_PASSWORD, give --password-file, or run this in a terminal.",
	}.read()
}

// secret is something that never comes from an argument, and where it comes
// from instead.
type secret struct {
	file, env, prompt string
	twice             bool // a person types it twice
	missing           string
}

func (s secret) read() (string, error) {
	if s.file != "" {
		return firstLine(s.file)
	}
	if p, ok := os.LookupEnv(s.env); ok {
		return p, nil
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return "", notice(s.missing)
	}
	first, err := ask(stdin, s.prompt)
	if err != nil || !s.twice {
		return first, err
	}
	second, err := ask(stdin, "The same again: ")
	if err == nil && first != second {
		err = notice("The two passwords differ.")
	}
	return first, err
}

func ask(terminal int, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	b, err := term.ReadPassword(terminal)
	fmt.Fprintln(os.Stderr)
	return string(b), err
}

func firstLine(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// print writes v as a line of JSON, or text to a person.
func (s *session) print(v any, text string) error {
	if !s.JSON {
		_, err := fmt.Fprintln(s.out, text)
		return err
	}
	return json.NewEncoder(s.out).Encode(v)
}

func (s *session) printError(w io.Writer, err error, sentence string) {
	if s.JSON {
		json.NewEncoder(w).Encode(map[string]string{"error": err.Error(), "message": sentence})
		return
	}
	fmt.Fprintln(w, "qpc:", sentence)
}
