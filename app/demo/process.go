package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quicprochat/core/client"
)

// password is everybody's. The profiles are gone when the demo ends.
const password = "a demo needs no secrets"

// command prepares one of the built programs.
func (s *stage) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.bin, program), args...)
	cmd.Env = append(s.env, "QPC_PASSWORD="+password)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a program to its end and returns what it printed.
func (s *stage) output(program string, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := s.command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, args[0], err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// startServer sets a server up as an operator would, starts it, and makes the
// invite link.
func (s *stage) startServer() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "server.toml")
	_, err = s.output("qpc-server", "quickstart", "--config", config, "--data-dir", filepath.Join(s.dir, "server"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", port), "--host", "127.0.0.1", "--no-qr", "--no-systemd")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	serve := s.command("qpc-server", "serve", "--config", config)
	serve.Stdout, serve.Stderr = log, log
	if err := serve.Start(); err != nil {
		return err
	}
	s.onClear(func() { stop(serve) })
	printed, err := s.output("qpc-server", "invite", "--config", config, "--uses", "3")
	if err != nil {
		return err
	}
	if s.link = findLink(printed); s.link == "" {
		return errors.New("qpc-server invite printed no link")
	}
	return s.awaitServer(log.Name())
}

// awaitServer asks until the server answers.
func (s *stage) awaitServer(log string) error {
	link, err := client.ParseLink(s.link)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	for {
		if _, err = client.Probe(ctx, link); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			said, _ := os.ReadFile(log)
			return fmt.Errorf("the server does not answer: %w\n%s", err, said)
		}
	}
}

// freePort finds a UDP port that nobody uses, below those that systems hand
// out by themselves, so that nobody gets it before the server.
func freePort() (int, error) {
	for {
		port := 20_000 + rand.IntN(10_000)
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, socket.Close()
	}
}

func findLink(text string) string {
	for word := range strings.FieldsSeq(text) {
		if strings.HasPrefix(word, "qpc://") {
			return word
		}
	}
	return ""
}

// stop ends a program as an operator would, and waits for it.
func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
}

// window is a running desktop app that takes commands on its standard input.
type window struct {
	who     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
	log     string
}

// openWindow starts a desktop app with a profile of its own.
func (s *stage) openWindow(who, theme string) (*window, error) {
	w := &window{who: who, log: filepath.Join(s.dir, who+".log")}
	w.cmd = s.command("quicprochat", "--profile", filepath.Join(s.dir, who), "--theme", theme, "--drive", "-")
	log, err := os.Create(w.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	w.cmd.Stderr = log
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.replies = json.NewDecoder(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	s.onClear(func() { stop(w.cmd) })
	return w, nil
}

// fields is a command for a window, or its reply.
type fields map[string]any

// do gives one command and waits for the reply.
func (w *window) do(name string, args fields) (fields, error) {
	line := fields{"cmd": name}
	for k, v := range args {
		line[k] = v
	}
	if err := json.NewEncoder(w.in).Encode(line); err != nil {
		return nil, w.failed(name, err)
	}
	var reply fields
	if err := w.replies.Decode(&reply); err != nil {
		return nil, w.failed(name, err)
	}
	if ok, _ := reply["ok"].(bool); !ok {
		return nil, w.failed(name, fmt.Errorf("%v", reply["error"]))
	}
	return reply, nil
}

func (w *window) failed(command string, err error) error {
	said, _ := os.ReadFile(w.log)
	return fmt.Errorf("%s's window, %s: %w\n%s", w.who, command, err, said)
}

// awaitExit waits until the window has been closed.
func (w *window) awaitExit() error {
	err := w.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return w.failed("running", exit)
	}
	return err
}
