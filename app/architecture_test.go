package app

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "quicprochat/"

// pkg is what the tests need of `go list -json`.
type pkg struct {
	ImportPath   string
	Doc          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	GoFiles      []string
	CgoFiles     []string
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,Deps,GoFiles,CgoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

// mayImport gives, for each part of the house, what it may import of the
// module besides its own sub-packages. The longest matching prefix counts.
// Programs may import everything; no part may import a program.
var mayImport = map[string][]string{
	"app":             {"app", "ui", "server", "core", "proto", "assets"},
	"assets":          {},
	"ui":              {"core/client", "core/version", "assets"},
	"server":          {"core/mls", "core/opaque", "core/identity", "core/franking", "core/seal", "core/wire", "core/rendezvous", "core/tokens", "core/transparency", "core/version", "proto"},
	"core/client":     {"core/mls", "core/opaque", "core/identity", "core/franking", "core/seal", "core/wire", "core/rendezvous", "core/tokens", "core/transparency", "core/vault", "core/version", "proto"},
	"core/mls":        {},
	"core/opaque":     {},
	"core/vault":      {},
	"core/franking":   {"core/identity", "proto"},
	"core/version":    {},
	"core/identity":   {"proto"},
	"core/seal":       {"core/identity", "proto"},
	"core/wire":       {"proto"},
	"core/rendezvous": {"proto"},
	"core/tokens":     {},
	"proto":           {},
}

// mayNotDependOn gives what a part may not reach even through others.
var mayNotDependOn = map[string][]string{
	"core": {"fyne.io/", "modernc.org/sqlite", module + "server", module + "ui", module + "app"},
	// a server inside a desktop app keeps to its file and its folder: what others need to be shared or big is not for its size
	"app/quicprochat": {"github.com/jackc/pgx", "gocloud.dev", "github.com/nats-io", "github.com/prometheus"},
	"app/qpc":         {"github.com/nats-io"},
	"app":             {"github.com/nats-io/nats-server"}, // tests alone run one
	"server":          {"fyne.io/", "gocloud.dev", "google.golang.org/grpc", "github.com/mutecomm/go-sqlcipher", module + "core/client", module + "core/vault", module + "ui", module + "app"},
}

func TestArchitectureImportsPointDown(t *testing.T) {
	for _, p := range listPackages(t) {
		part, allowed := rule(p.ImportPath)
		if part == "" {
			t.Errorf("%s: no rule says what it may import; give it one or move it", p.ImportPath)
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			own, inModule := strings.CutPrefix(imported, module)
			if !inModule || within(own, part) {
				continue
			}
			if !slices.ContainsFunc(allowed, func(a string) bool { return within(own, a) }) {
				t.Errorf("%s imports %s: %s may import only %v of the module", p.ImportPath, own, part, allowed)
			}
		}
	}
}

func TestArchitectureDependencies(t *testing.T) {
	for _, p := range listPackages(t) {
		for part, forbidden := range mayNotDependOn {
			if !within(p.ImportPath, part) {
				continue
			}
			for _, dep := range p.Deps {
				for _, f := range forbidden {
					if strings.HasPrefix(dep, f) {
						t.Errorf("%s depends on %s, which %s may not reach", p.ImportPath, dep, part)
					}
				}
			}
		}
	}
}

// TestArchitectureOneSQLiteInC fails where a second copy of SQLite's C
// symbols would be linked beside go-sqlcipher's.
func TestArchitectureOneSQLiteInC(t *testing.T) {
	for _, p := range listPackages(t) {
		if slices.Contains(p.Deps, "github.com/mattn/go-sqlite3") {
			t.Errorf("%s links mattn/go-sqlite3, whose symbols clash with go-sqlcipher", p.ImportPath)
		}
	}
}

func TestArchitectureEveryPackageIsDocumented(t *testing.T) {
	for _, p := range listPackages(t) {
		if len(p.GoFiles)+len(p.CgoFiles) > 0 && p.Doc == "" && !within(p.ImportPath, "proto") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestArchitectureNoJunkDrawers(t *testing.T) {
	for _, p := range listPackages(t) {
		switch name := path.Base(p.ImportPath); name {
		case "util", "utils", "common", "helper", "helpers", "manager", "misc", "shared", "base":
			t.Errorf("%s: a package called %s says nothing of what is in it", p.ImportPath, name)
		}
	}
}

// rule returns the part of the house that a package belongs to, and what that
// part may import.
func rule(importPath string) (part string, allowed []string) {
	for p, a := range mayImport {
		if within(importPath, p) && len(p) > len(part) {
			part, allowed = p, a
		}
	}
	return part, allowed
}

// within reports whether a package is dir or below it.
func within(importPath, dir string) bool {
	return importPath == dir || strings.HasPrefix(importPath, dir+"/")
}
