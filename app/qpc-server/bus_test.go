package main

import (
	"strings"
	"testing"

	"quicprochat/server/bus/nats/natstest"
	"quicprochat/server/check"
	"quicprochat/server/config"
)

func TestBusFinding(t *testing.T) {
	nats := natstest.New(t, nil)
	finding := func(want check.Grade, text string, cfg config.Bus) {
		t.Helper()
		if got := busFinding(t.Context(), cfg); got.Grade != want || !strings.Contains(got.Text, text) || strings.Contains(got.Text, "s3cr3t") {
			t.Errorf("got %s %q, want %s and %q", got.Grade, got.Text, want, text)
		}
	}
	url := config.BusURL(strings.Replace(nats.URL(), "nats://", "nats://qpc:s3cr3t@", 1))
	finding(check.Wrong, "cannot be used", config.Bus{URL: url})
	nats.Start()
	finding(check.OK, "answers and delivers", config.Bus{URL: url})
	finding(check.Wrong, "ca_file", config.Bus{URL: url, CAFile: "/does/not/exist"})
	finding(check.Wrong, "credentials_file", config.Bus{URL: url, CredentialsFile: "/does/not/exist"})
	if config.BusURL("nats://nats.example.org:4222").Private() || !config.BusURL("tls://nats.example.org:4222,nats://[::1]:4222").Private() {
		t.Error("what crosses the network in clear is not told from what does not")
	}
}
