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
	"quicprochat/server/storage"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"qpc": func() { os.Exit(run()) }})
}

// TestScripts runs the scripts in testdata, each against a server of its own.
// A script finds two invite links in the environment, LINK for ten accounts
// and EXPIRED, one for an admin in ADMIN, and the passwords in PASSWORD and in
// the file "password"; FORGED and NOTE would like to be more than texts. Other servers, for whose registration it is named, are
// behind OPEN and CLOSED, and links for admins there behind OPENADMIN and
// CLOSEDADMIN. set-role NAME ROLE gives somebody a role, by another handle on
// the server's files.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"set-role": scriptSetRole},
		Setup: func(env *testscript.Env) error {
			s, err := startServer(filepath.Join(env.WorkDir, "server"), config.RegistrationInvite)
			if err != nil {
				return err
			}
			env.Defer(func() { stopServer(t, s) })
			admin, err := s.CreateRoleInvite(t.Context(), storage.RoleAdmin, 1, time.Hour)
			if err != nil {
				return err
			}
			env.Setenv("ADMIN", admin)
			env.Setenv("NOTOKEN", s.Link(nil))
			for name, mode := range map[string]config.Registration{"OPEN": config.RegistrationOpen, "CLOSED": config.RegistrationClosed} {
				other, err := startServer(filepath.Join(env.WorkDir, "server-"+name), mode)
				if err != nil {
					return err
				}
				env.Defer(func() { stopServer(t, other) })
				admin, err := other.CreateRoleInvite(t.Context(), storage.RoleAdmin, 1, time.Hour)
				if err != nil {
					return err
				}
				env.Setenv(name, other.Link(nil))
				env.Setenv(name+"ADMIN", admin)
			}
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
			env.Setenv("FORGED", "red\x1b[31m\nmallory: never said")
			env.Setenv("NOTE", "look\n    mallory: never said")
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			return os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte(password+"\n"), 0o600)
		},
	})
}

// scriptSetRole: set-role NAME ROLE.
func scriptSetRole(ts *testscript.TestScript, _ bool, args []string) {
	role, err := storage.ParseRole(args[1])
	ts.Check(err)
	s, err := server.New(serverConfig(ts.MkAbs("server"), config.RegistrationInvite), nil)
	ts.Check(err)
	ts.Check(s.Moderation().SetRole(context.Background(), args[0], role))
	ts.Check(s.Shutdown(context.Background()))
}

func serverConfig(dir string, mode config.Registration) config.Config {
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.PublicHost, cfg.Registration = dir, "127.0.0.1:0", "127.0.0.1", mode
	return cfg
}

func startServer(dir string, mode config.Registration) (*server.Server, error) {
	cfg := serverConfig(dir, mode)
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
