package mls

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hexBytes is a hex string in the vectors' JSON; absent and null are nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// vectorDir is where the working group's files, and any others, are.
func vectorDir() string {
	if dir := os.Getenv("QPC_VECTORS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "shared", "vectors")
}

// TestVectors runs every JSON file in the folder of QPC_VECTORS and those below,
// whatever it is called: its cases tell by their fields of which kind they are. A
// file that cannot be placed fails.
func TestVectors(t *testing.T) {
	dir := vectorDir()
	files := jsonFiles(t, dir)
	if len(files) == 0 {
		if os.Getenv("QPC_VECTORS") != "" {
			t.Fatalf("no JSON file in %s", dir)
		}
		t.Skipf("SKIPPED: the official test vectors are not at %s; set QPC_VECTORS to their folder", dir)
	}
	runVectorFiles(t, dir, files)
}

// TestOwnVectors runs the project's own, which cover the suites that nobody
// else has vectors for: see testdata/README.md.
func TestOwnVectors(t *testing.T) {
	if *writeVectors {
		writeOwnVectors(t)
	}
	files := jsonFiles(t, "testdata")
	if len(files) == 0 {
		t.Fatal("the project's own vectors are missing")
	}
	runVectorFiles(t, "testdata", files)
}

func jsonFiles(t *testing.T, dir string) (files []string) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.EqualFold(filepath.Ext(path), ".json") {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func runVectorFiles(t *testing.T, dir string, files []string) {
	h := newHistory()
	for _, path := range files {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			runVectors(t, h, b)
		})
	}
}

// runVectors runs the cases of a file and reports how many there were.
func runVectors(t *testing.T, h *history, file []byte) {
	cases, err := splitCases(file)
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[*vectorKind][]vectorCase{}
	for i, raw := range cases {
		c, kind, err := classify(i, raw)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		byKind[kind] = append(byKind[kind], c)
	}
	switch n := len(byKind[opaqueKind]); n {
	case 0:
	case len(cases):
		t.Skipf("SKIPPED: %d vectors of OPAQUE, which are core/opaque's to run", n)
	default:
		t.Errorf("%d of %d cases are of OPAQUE", n, len(cases))
	}
	for _, kind := range vectorKinds {
		if len(byKind[kind]) == 0 {
			continue
		}
		c := tally{skipped: map[Suite]int{}}
		var known []vectorCase
		for _, v := range byKind[kind] {
			if v.suite == nil {
				c.skipped[v.suiteID]++
			} else {
				known = append(known, v)
			}
		}
		c.run = len(known)
		kind.run(t, h, known)
		t.Logf("%s: %s", t.Name(), c.report(kind.name))
	}
}

// tally counts what a vector test ran and what it left out.
type tally struct {
	run     int
	skipped map[Suite]int
}

func (c *tally) report(kind string) string {
	text := fmt.Sprintf("%s: %d cases run", kind, c.run)
	for _, id := range slices.Sorted(maps.Keys(c.skipped)) {
		text += fmt.Sprintf(", SKIPPED %d of the unknown %v", c.skipped[id], id)
	}
	return text
}

// splitCases takes a file apart: a list of cases, or a single one.
func splitCases(file []byte) (cases []json.RawMessage, err error) {
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimLeft(file, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return []json.RawMessage{trimmed}, nil
	}
	if err := json.Unmarshal(file, &cases); err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, errors.New("no case in the file")
	}
	return cases, nil
}

// vectorCase is a case of a file. suite is nil where it is not known here, and
// the first one where the case depends on none.
type vectorCase struct {
	index   int
	raw     json.RawMessage
	suiteID Suite
	suite   *suite
}

func classify(index int, raw json.RawMessage) (vectorCase, *vectorKind, error) {
	c := vectorCase{index: index, raw: raw}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return c, nil, err
	}
	kind := kindOf(fields)
	if kind == nil {
		return c, nil, fmt.Errorf("no kind of vector has the fields %q", slices.Sorted(maps.Keys(fields)))
	}
	if !kind.ofSuite {
		c.suite = suites[0]
		return c, kind, nil
	}
	if err := json.Unmarshal(fields["cipher_suite"], &c.suiteID); err != nil {
		return c, nil, fmt.Errorf("cipher_suite: %w", err)
	}
	c.suite, _ = suiteOf(c.suiteID)
	return c, kind, nil
}

// official reads one of the working group's files for a test that needs its
// data, or skips the test.
func official[T any](t *testing.T, name string) []T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir(), "mls", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: the official test vectors are not at %s; set QPC_VECTORS to their folder", vectorDir())
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []T
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}
