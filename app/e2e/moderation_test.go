package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/server"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/postgres"
	"quicprochat/server/storage/postgres/postgrestest"
)

// pair is two servers, as of two processes, on one database.
func pair(t *testing.T, storeURL string) (first, second *world) {
	t.Helper()
	first = &world{t: t, dir: t.TempDir()}
	cfg := newWorld(t).config // its settings, and none of its data
	cfg.Listen, cfg.DataDir, cfg.Store.URL = "127.0.0.1:0", filepath.Join(first.dir, "server"), storage.URL(storeURL)
	first.config = cfg
	first.startOnStore()
	second = &world{t: t, dir: filepath.Join(first.dir, "second"), config: cfg}
	if storeURL != "" {
		// another data folder, with the same keys
		second.config.DataDir = filepath.Join(second.dir, "server")
		copyKeys(t, cfg.DataDir, second.config.DataDir)
		if _, err := os.Stat(filepath.Join(cfg.DataDir, secrets.DatabaseName)); err == nil {
			t.Fatal("there is a file beside the database")
		}
	}
	second.startOnStore()
	return first, second
}

// copyKeys copies the files of a data folder.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) startOnStore() {
	w.t.Helper()
	open := func(ctx context.Context, url storage.URL, limits storage.Limits, keyHash []byte) (storage.Store, error) {
		return postgres.Open(ctx, postgres.Options{URL: url, Limits: limits, KeyHash: keyHash})
	}
	s, err := server.New(w.config, discardLog(), server.WithStore(open))
	if err != nil {
		w.t.Fatal("server:", err)
	}
	w.server = s
	w.t.Cleanup(w.stop)
	if err := s.Start(); err != nil {
		w.t.Fatal("server:", err)
	}
	if w.link, err = client.ParseLink(s.Link(nil)); err != nil {
		w.t.Fatal(err)
	}
}

// awaitBan waits until a client knows that it is banned.
func (p *person) awaitBan() {
	p.t.Helper()
	p.until("the ban", func() bool { return errors.Is(p.Connection().Err, client.ErrBanned) })
}

// A report and a ban, on two servers that know of each other by the store alone.
func TestModeration(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testModeration(t, "") })
	t.Run("postgres", func(t *testing.T) {
		url, err := postgrestest.Shared(t).NewDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		testModeration(t, url)
	})
}

func testModeration(t *testing.T, storeURL string) {
	first, second := pair(t, storeURL)
	link, err := second.server.CreateRoleInvite(t.Context(), storage.RoleAdmin, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	plain := second.link
	if second.link, err = client.ParseLink(link); err != nil {
		t.Fatal(err)
	}
	root := second.register("root")
	second.link = plain
	alice, mallory := first.register("alice"), first.register("mallory")
	defer func() {
		for _, p := range []*person{root, alice, mallory} {
			p.close()
		}
	}()
	if role, err := root.MyRole(t.Context()); err != nil || role != client.RoleAdmin {
		t.Fatalf("%v, %v", role, err)
	}

	chat, err := mallory.StartDirect(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	alice.conversation("mallory")
	mallory.send(chat.ID, "buy this")
	alice.awaitTexts(chat.ID, 1)
	var message client.Message
	for _, m := range alice.messages(chat.ID) {
		if m.Kind == client.KindText {
			message = m
		}
	}
	for range 2 {
		if err := alice.ReportMessage(t.Context(), chat.ID, message.ID, client.CategorySpam, "a note"); err != nil {
			t.Fatal(err)
		}
	}
	reports, more, err := root.Operator().Reports(t.Context(), false, 0, 0)
	if err != nil || more || len(reports) != 1 {
		t.Fatalf("%v, %v, %v", reports, more, err)
	}
	r := reports[0]
	if r.Text != "buy this" || r.Sender != mallory.Me().AccountID || r.SenderName != "mallory" || !r.SentAt.Equal(message.SentAt) ||
		r.Category != client.CategorySpam || r.Note != "a note" || r.Banned || r.DeviceGone || r.Resolution != client.ReportOpen {
		t.Errorf("got %+v", r)
	}

	if err := root.Operator().Ban(t.Context(), r.Sender, time.Time{}, "spam"); err != nil {
		t.Fatal(err)
	}
	mallory.awaitBan()
	// What a banned client sends waits, though the server could not tell whose
	// it is.
	if _, err := mallory.Send(t.Context(), chat.ID, "after the ban"); err != nil {
		t.Fatal(err)
	}
	first.reopen(mallory)
	mallory.awaitBan()
	alice.send(chat.ID, "are you there?")
	if texts := alice.awaitTexts(chat.ID, 2); texts[1] != "are you there?" {
		t.Errorf("alice has %q", texts)
	}
	if _, err := client.Login(t.Context(), first.options(filepath.Join(first.dir, "again")), first.link, "mallory", password); !errors.Is(err, client.ErrBanned) {
		t.Errorf("login: %v", err)
	}
	if _, err := alice.CreateGroup(t.Context(), "a group", []string{"mallory"}); !errors.Is(err, client.ErrUnreachableUser) {
		t.Errorf("invited: %v", err)
	}
	banned, more, err := root.Operator().Banned(t.Context(), 0, 0)
	if err != nil || more || len(banned) != 1 || banned[0].AccountID != r.Sender || banned[0].Name != "mallory" || banned[0].Reason != "spam" || !banned[0].Until.IsZero() {
		t.Errorf("%+v, %v, %v", banned, more, err)
	}
	if id, err := root.Operator().Find(t.Context(), "Mallory"); err != nil || id != r.Sender {
		t.Errorf("found %v, %v", id, err)
	}
	if err := root.Operator().Resolve(t.Context(), r.Number, client.ReportActed); err != nil {
		t.Error(err)
	}

	if err := root.Operator().Unban(t.Context(), r.Sender); err != nil {
		t.Fatal(err)
	}
	mallory.Reconnect()
	alice.awaitTexts(chat.ID, 3)
	mallory.awaitTexts(chat.ID, 3)
}
