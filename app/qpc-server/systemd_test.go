package main

import (
	"os"
	"os/exec"
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

// systemd itself finds nothing wrong with the units, where it is installed.
func TestUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	for _, dataDir := range []string{"/var/lib/qpc", "/srv/qpc data"} {
		path := filepath.Join(t.TempDir(), "qpc-server.service")
		must(t, os.WriteFile(path, []byte(writtenUnit(t, dataDir)), 0o600))
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), filepath.Base(path)) {
			t.Errorf("%s: %v\n%s", dataDir, err, out)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
