package main

import (
	"testing"

	"quicprochat/server/config"
)

// The copy of the database from which an encrypted backup is made is not: it
// stays where the database is.
func TestPlainCopyStaysAtHome(t *testing.T) {
	cfg := config.Config{DataDir: "/var/lib/qpc"}
	for name, c := range map[string]struct {
		lock lockFlags
		want string
	}{
		"to a key":           {lockFlags{EncryptTo: []string{"age1"}}, "/var/lib/qpc"},
		"under a passphrase": {lockFlags{PassphraseFile: "p"}, "/var/lib/qpc"},
		"plain":              {lockFlags{}, "/mnt/elsewhere"},
	} {
		cmd := &backupCmd{lockFlags: c.lock}
		if got := cmd.tempDir(cfg, "/mnt/elsewhere/b.tar"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
