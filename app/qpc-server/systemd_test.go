package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writtenUnit(t *testing.T, dataDir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qpc-server.service")
	if err := writeUnit(path, "/etc/qpc/with space and % and $.toml", dataDir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUnitUnderVarLib(t *testing.T) {
	text := writtenUnit(t, "/var/lib/qpc")
	for _, want := range []string{
		"DynamicUser=yes", "StateDirectory=qpc\n", `serve --config "/etc/qpc/with space and %% and $$.toml"`, "WantedBy=multi-user.target",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\nUser=") {
		t.Error("names a user")
	}
}

func TestUnitElsewhere(t *testing.T) {
	text := writtenUnit(t, "/srv/qpc data")
	for _, want := range []string{"\nUser=", `ReadWritePaths="/srv/qpc data"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "DynamicUser") {
		t.Error("asks for a user of its own")
	}
}
