package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/storage/postgres/postgrestest"
)

// patience is how long a test waits for something that must happen. It is
// only ever spent in full by a test that fails.
const patience = 60 * time.Second

const password = "seven gulls over the harbour"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		os.Exit(runVictim(os.Stdin, os.Stdout))
	}
	os.Exit(postgrestest.Main(m))
}

// world is a server and the people on it.
type world struct {
	t      testing.TB
	dir    string
	config config.Config
	server *server.Server
	link   client.Link
}

// newWorld starts a server with open registration on a free port.
func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	return newWorldAt(t, dir, filepath.Join(dir, "server"))
}

// newWorldAt is newWorld with a server whose data folder is elsewhere.
func newWorldAt(t testing.TB, dir, server string) *world {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = server
	cfg.Listen = "127.0.0.1:0"
	cfg.PublicHost = "127.0.0.1"
	cfg.Registration = config.RegistrationOpen
	unlimited := config.Rate{PerMinute: 1 << 30, Burst: 1 << 30}
	cfg.Rates = config.Rates{Login: unlimited, Auth: unlimited, Lookup: unlimited, Post: unlimited, Own: unlimited, Blob: unlimited}
	w := &world{t: t, dir: dir, config: cfg}
	w.start()
	t.Cleanup(w.stop)
	// Later starts use the same port, so that links stay good.
	w.config.Listen = w.server.Addr().String()
	link, err := client.ParseLink(w.server.Link(nil))
	if err != nil {
		t.Fatal(err)
	}
	w.link = link
	return w
}

func (w *world) start() {
	w.t.Helper()
	s, err := server.New(w.config, discardLog())
	if err != nil {
		w.t.Fatal("server:", err)
	}
	if err := s.Start(); err != nil {
		w.t.Fatal("server:", err)
	}
	w.server = s
}

func (w *world) stop() {
	w.t.Helper()
	if w.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.t.Error("server shutdown:", err)
	}
	w.server = nil
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func discardLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// person is one device of an account, in this process.
type person struct {
	*client.Client
	t    testing.TB
	name string
	dir  string
}

func (w *world) options(dir string) client.Options {
	return client.Options{Dir: dir, DeviceName: "test", Cost: client.CheapForTests()}
}

// register makes an account and waits until others can reach it.
func (w *world) register(name string) *person {
	w.t.Helper()
	p := &person{t: w.t, name: name, dir: filepath.Join(w.dir, name)}
	c, err := client.Register(w.t.Context(), w.options(p.dir), w.link, name, password)
	if err != nil {
		w.t.Fatalf("register %s: %v", name, err)
	}
	p.use(c)
	return p
}

// login adds another device to an account.
func (w *world) login(name, device string) *person {
	w.t.Helper()
	p := &person{t: w.t, name: name, dir: filepath.Join(w.dir, name+"-"+device)}
	c, err := client.Login(w.t.Context(), w.options(p.dir), w.link, name, password)
	if err != nil {
		w.t.Fatalf("login %s: %v", name, err)
	}
	p.use(c)
	return p
}

// reopen closes the client, if it is open, and opens its profile again.
func (w *world) reopen(p *person) {
	w.t.Helper()
	p.close()
	c, err := client.Open(w.t.Context(), w.options(p.dir), password)
	if err != nil {
		w.t.Fatalf("open %s: %v", p.name, err)
	}
	p.Client = c
}

func (p *person) use(c *client.Client) {
	p.t.Helper()
	p.Client = c
	p.t.Cleanup(p.close)
	p.sync()
}

func (p *person) close() {
	if p.Client != nil {
		if err := p.Close(); err != nil {
			p.t.Errorf("close %s: %v", p.name, err)
		}
		p.Client = nil
	}
}

func (p *person) sync() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.Sync(ctx); err != nil {
		p.t.Fatalf("%s does not get in step: %v (connection: %+v)", p.name, err, p.Connection())
	}
}

// send queues a text.
func (p *person) send(id client.ConversationID, text string) {
	p.t.Helper()
	if _, err := p.Send(p.t.Context(), id, text); err != nil {
		p.t.Fatalf("%s sends: %v", p.name, err)
	}
}

// until waits for a condition, looking again at each event.
func (p *person) until(what string, ok func() bool) {
	p.t.Helper()
	events, cancel := p.Subscribe()
	defer cancel()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !ok() {
		select {
		case _, open := <-events:
			if !open {
				p.t.Fatalf("%s: closed while waiting for %s", p.name, what)
			}
		case <-deadline.C:
			p.t.Fatalf("%s: still waiting for %s; connection %+v", p.name, what, p.Connection())
		}
	}
}

// conversation waits for the conversation with this title.
func (p *person) conversation(title string) client.Conversation {
	p.t.Helper()
	var found client.Conversation
	p.until("a conversation called "+title, func() bool {
		all, err := p.Conversations(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(c client.Conversation) bool {
			return c.Title == title && c.State == client.StateActive
		})
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// state waits until a conversation is in a state.
func (p *person) state(id client.ConversationID, want client.ConversationState) {
	p.t.Helper()
	p.until(fmt.Sprintf("conversation state %d", want), func() bool {
		c, err := p.Conversation(p.t.Context(), id)
		return err == nil && c.State == want
	})
}

// messages is the whole conversation, in order.
func (p *person) messages(id client.ConversationID) []client.Message {
	p.t.Helper()
	all, err := allMessages(p.t.Context(), p.Client, id)
	if err != nil {
		p.t.Fatalf("%s reads: %v", p.name, err)
	}
	return all
}

func allMessages(ctx context.Context, c *client.Client, id client.ConversationID) ([]client.Message, error) {
	var pages [][]client.Message
	for page := (client.Page{Limit: 500}); ; {
		part, err := c.Messages(ctx, id, page)
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			slices.Reverse(pages)
			return slices.Concat(pages...), nil
		}
		pages = append(pages, part)
		page.Before = part[0].Position
	}
}

// texts is what people wrote, in order, without events.
func texts(messages []client.Message) []string {
	var out []string
	for _, m := range messages {
		if m.Kind == client.KindText {
			out = append(out, m.Text)
		}
	}
	return out
}

// awaitTexts waits until a conversation holds exactly n texts that the
// server has placed, and returns them.
func (p *person) awaitTexts(id client.ConversationID, n int) []string {
	p.t.Helper()
	var got []string
	p.until(fmt.Sprintf("%d texts", n), func() bool {
		messages := p.messages(id)
		got = texts(messages)
		return len(got) >= n && settled(messages)
	})
	if len(got) != n {
		p.t.Fatalf("%s has %d texts, not %d", p.name, len(got), n)
	}
	return got
}

// settled reports whether nothing waits to be sent.
func settled(messages []client.Message) bool {
	return !slices.ContainsFunc(messages, func(m client.Message) bool {
		return m.State == client.StateQueued || m.State == client.StateSending
	})
}

// parallel runs fs at the same time and waits for all.
func parallel(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
}
