package e2e

import (
	"fmt"
	"testing"

	"quicprochat/server/config"
)

// Who sends faster than the server allows is slowed down, and loses nothing.
func TestRateLimitedMessagesArrive(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.register("alice"), w.register("bob")
	chat, err := alice.StartDirect(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	id := chat.ID
	bob.conversation("alice")
	cfg := w.config
	cfg.Rates.Post = config.Rate{PerMinute: 1200, Burst: 2}
	if _, err := w.server.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	const messages = 12
	for i := range messages {
		alice.send(id, fmt.Sprintf("message %d", i))
	}
	for i, text := range bob.awaitTexts(id, messages) {
		if want := fmt.Sprintf("message %d", i); text != want {
			t.Errorf("%q at the place of %q", text, want)
		}
	}
	if w.figure("qpc_rate_limited_total", "post") == 0 {
		t.Error("nothing was limited")
	}
}

// figure is one of the server's figures, for the value of its one label.
func (w *world) figure(name, label string) float64 {
	for _, f := range w.server.Metrics() {
		for _, s := range f.Samples {
			if f.Name == name && s.Values[0] == label {
				return s.Value
			}
		}
	}
	return 0
}
