package e2e

import (
	"testing"

	"quicprochat/core/client"
)

// TestServerMoves gives a server another address while its clients are
// connected: they find it by the word that it leaves at a third one, whether
// nobody answers at its old address or somebody else.
func TestServerMoves(t *testing.T) {
	for name, taken := range map[string]bool{"silence": false, "somebody else": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meeting, home := newWorld(t), newWorld(t)
			home.config.Rendezvous = []string{meeting.server.Link(nil)}
			home.restart()
			alice, bob := home.register("alice"), home.register("bob")
			chat, err := alice.StartDirect(t.Context(), "bob")
			if err != nil {
				t.Fatal(err)
			}
			bob.state(chat.ID, client.StateActive)
			for _, p := range []*person{alice, bob} {
				p.until("rendezvous servers", func() bool { return len(p.Rendezvous()) == 1 })
			}
			old := home.link
			home.stop()
			home.config.Listen = "127.0.0.1:0"
			home.start()
			if taken {
				squatter := newWorld(t)
				squatter.stop()
				squatter.config.Listen = old.Addr()
				squatter.start()
			}
			alice.send(chat.ID, "where are you?")
			bob.until("the message", func() bool { return len(bob.messages(chat.ID)) > 0 && len(texts(bob.messages(chat.ID))) > 0 })
			now, err := client.ParseLink(home.server.Link(nil))
			if err != nil {
				t.Fatal(err)
			}
			if now.Port == old.Port {
				t.Fatal("it has not moved")
			}
			for _, p := range []*person{alice, bob} {
				if got := p.Link(); got.Port != now.Port || string(got.Pin) != string(old.Pin) {
					t.Errorf("%s is connected to port %d, not %d", p.Me().Name, got.Port, now.Port)
				}
			}
			// it is remembered, without anybody to ask
			meeting.stop()
			t.Cleanup(meeting.start) // for the clean-up
			home.reopen(alice)
			alice.sync()
			alice.send(chat.ID, "there you are")
			bob.awaitTexts(chat.ID, 2)
		})
	}
}
