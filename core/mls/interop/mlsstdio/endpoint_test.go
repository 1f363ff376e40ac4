package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// asProgram makes the test binary behave as the program.
const asProgram = "MLSSTDIO_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// endpoint is a process that speaks the protocol.
type endpoint struct {
	t        testing.TB
	name     string
	in       io.Writer
	out      *bufio.Reader
	requests int
	clients  int
	features []string
}

// params are the parameters of a request.
type params map[string]any

// startOwn starts this program; the name tells several apart.
func startOwn(t testing.TB, name string) *endpoint {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return start(t, name, cmd)
}

// start runs a process until the test ends, and greets it.
func start(t testing.TB, name string, cmd *exec.Cmd) *endpoint {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil || stderr.Len() > 0 {
			t.Errorf("%s ends with %v: %s", name, err, &stderr)
		}
	})
	e := &endpoint{t: t, name: name, in: in, out: bufio.NewReader(out)}
	var g greeting
	e.call("hello", params{}, &g)
	e.features = g.Features
	return e
}

func (e *endpoint) can(feature string) bool { return slices.Contains(e.features, feature) }

// line sends a line and gives the one that comes back.
func (e *endpoint) line(request []byte) []byte {
	e.t.Helper()
	if _, err := e.in.Write(append(bytes.Clone(request), '\n')); err != nil {
		e.t.Fatalf("%s: %v", e.name, err)
	}
	answer, err := e.out.ReadBytes('\n')
	if err != nil {
		e.t.Fatalf("%s: no answer to %.200s: %v", e.name, request, err)
	}
	return answer
}

// try makes a request; the result is decoded into result.
func (e *endpoint) try(cmd string, p params, result any) *failure {
	e.t.Helper()
	e.requests++
	request := params{"id": e.requests, "cmd": cmd}
	for k, v := range p {
		request[k] = v
	}
	raw, err := json.Marshal(request)
	if err != nil {
		e.t.Fatal(err)
	}
	var answer struct {
		ID     int             `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *failure        `json:"error"`
	}
	line := e.line(raw)
	if err := json.Unmarshal(line, &answer); err != nil {
		e.t.Fatalf("%s: %s answers %.200s: %v", e.name, cmd, line, err)
	}
	if answer.ID != e.requests || (answer.Result == nil) == (answer.Error == nil) {
		e.t.Fatalf("%s: %s answers request %d by %.200s", e.name, cmd, e.requests, line)
	}
	if answer.Error == nil && result != nil {
		if err := json.Unmarshal(answer.Result, result); err != nil {
			e.t.Fatalf("%s: %s answers %.200s: %v", e.name, cmd, line, err)
		}
	}
	return answer.Error
}

// call makes a request that has to succeed.
func (e *endpoint) call(cmd string, p params, result any) {
	e.t.Helper()
	if f := e.try(cmd, p, result); f != nil {
		e.t.Fatalf("%s: %s: %s %s: %s", e.name, cmd, f.Name, f.Section, f.Message)
	}
}

// refuses makes a request that has to fail by this name.
func (e *endpoint) refuses(name, cmd string, p params) {
	e.t.Helper()
	if f := e.try(cmd, p, nil); f == nil || f.Name != name {
		e.t.Errorf("%s: %s answers %+v instead of %s", e.name, cmd, f, name)
	}
}

// newClient makes a client of a suite and gives its handle.
func (e *endpoint) newClient(suite int, handshakes string) string {
	e.t.Helper()
	e.clients++
	handle := fmt.Sprintf("%s %d", e.name, e.clients)
	e.newClientAs(handle, handle, suite, handshakes)
	return handle
}

// newClientAs makes a client of a suite with this handle and identity.
func (e *endpoint) newClientAs(handle, identity string, suite int, handshakes string) {
	e.t.Helper()
	e.call("client", params{
		"client": handle, "identity": octets(identity), "suite": suite, "extensions": []uint16{testExtension}, "handshakes": handshakes,
	}, nil)
	e.call("psk", params{"client": handle, "psk_id": octets("psk"), "secret": octets("a secret from elsewhere")}, nil)
}

// testExtension is a group-context extension that all clients of the tests understand.
const testExtension = 0xF0C1
