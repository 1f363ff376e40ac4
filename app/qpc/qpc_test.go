package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"quicprochat/server"
	"quicprochat/server/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"qpc": func() { os.Exit(run()) }})
}

// TestScripts runs the scripts in testdata, each against a server of its own.
// A script finds two invite links in the environment, LINK for ten accounts
// and EXPIRED, and the passwords in PASSWORD and in the file "password".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			s, err := startServer(filepath.Join(env.WorkDir, "server"))
			if err != nil {
				return err
			}
			env.Defer(func() { stopServer(t, s) })
			link, err := s.CreateInvite(t.Context(), 10, time.Hour)
			if err != nil {
				return err
			}
			expired, err := s.CreateInvite(t.Context(), 1, time.Nanosecond)
			if err != nil {
				return err
			}
			const password = "tulip anvil seldom harbour"
			env.Setenv("LINK", link)
			env.Setenv("EXPIRED", expired)
			env.Setenv("QPC_PASSWORD", password)
			// the subscription of RFC 8291's example
			env.Setenv("P256DH", "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
			env.Setenv("AUTH", "BTBZMqHH6r4Tts7J_aSIgg")
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			return os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte(password+"\n"), 0o600)
		},
	})
}

func startServer(dir string) (*server.Server, error) {
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.PublicHost = dir, "127.0.0.1:0", "127.0.0.1"
	s, err := server.New(cfg, nil)
	if err != nil {
		return nil, err
	}
	return s, s.Start()
}

func stopServer(t *testing.T, s *server.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error("server shutdown:", err)
	}
}
