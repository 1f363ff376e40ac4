//go:build unix

package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// output keeps what a command writes for reading while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// wait waits for a match and returns its first group.
func (o *output) wait(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		o.mu.Lock()
		text := o.text.String()
		o.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in\n%s", pattern, text)
		}
	}
}

// A running server is told to read its configuration again, and its health is
// asked for.
func TestReloadAndHealth(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "server.toml")
	config := func(text string) {
		t.Helper()
		text = "data_dir = \"data\"\nlisten = \"127.0.0.1:0\"\npublic_host = \"127.0.0.1\"\n" + text + "\n[ops]\nlisten = \"127.0.0.1:0\"\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config(`registration = "closed"`)
	log := &output{}
	done := make(chan int)
	go func() { done <- run([]string{"serve", "--config", path}, &console{out: io.Discard, err: log}) }()
	addr := log.wait(t, `msg="server started" listen=127\.0\.0\.1:(\d+)`)
	ops := "http://" + log.wait(t, `msg="metrics and health" listen=(\S+)`)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get(ops + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": `"ready": true`, "/metrics": "qpc_connections 0"} {
		if status, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	cert, err := wire.LoadOrCreateCertificate(filepath.Join(dir, "data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pin := wire.PinOf(cert)
	link, err := wire.ParseLink("qpc://127.0.0.1:" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	link.Pin = pin[:]
	conn, err := wire.Dial(t.Context(), link, wire.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	mode := func() qpcv1.InfoResponse_Registration {
		t.Helper()
		var info qpcv1.InfoResponse
		if err := conn.Call(t.Context(), &qpcv1.InfoRequest{}, &info); err != nil {
			t.Fatal(err)
		}
		return info.Registration
	}
	hup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	config("registration = \"open\"\nblob_url = \"s3://other\"\n[log]\nlevel = \"DEBUG\"")
	hup()
	if got := log.wait(t, `msg="configuration reloaded" changed="([^"]*)" needs_a_restart="?blob_url`); !strings.Contains(got, "registration") || !strings.Contains(got, "log.level") {
		t.Errorf("changed: %s", got)
	}
	if mode() != qpcv1.InfoResponse_REGISTRATION_OPEN {
		t.Error("not open on the connection from before")
	}
	config("registration = \"closed\"\nregstration = 1")
	hup()
	log.wait(t, `(old one stays in force).*there is no setting named`)
	if mode() != qpcv1.InfoResponse_REGISTRATION_OPEN {
		t.Error("a broken configuration is in force")
	}
	if _, body := get("/metrics"); !strings.Contains(body, `qpc_reloads_total{outcome="refused"} 1`) {
		t.Error("the refusal is not counted")
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Errorf("status %d", code)
	}
	if _, err := client.Get(ops + "/healthz"); err == nil {
		t.Error("answers after its end")
	}
}

// A server whose port for tools is taken serves all the same, and says so.
func TestOpsPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	log := &output{}
	done := make(chan int)
	environ := []string{"QPC_DATA_DIR=" + dir, "QPC_LISTEN=127.0.0.1:0", "QPC_PUBLIC_HOST=127.0.0.1", "QPC_OPS_LISTEN=" + ln.Addr().String(), "QPC_PUBLIC_PORT=1"}
	path := filepath.Join(dir, "empty.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		done <- run([]string{"serve", "--config", path}, &console{out: io.Discard, err: log, environ: environ})
	}()
	log.wait(t, `(ops.listen cannot be listened on)`)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Errorf("status %d", code)
	}
}
