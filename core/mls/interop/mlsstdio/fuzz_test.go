package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzServe gives the program lines, after some that make a group, and demands an
// answer to each that is JSON and not an internal error.
func FuzzServe(f *testing.F) {
	for name := range commands {
		f.Add([]byte(`{"id":1,"cmd":"` + name + `","client":"c","group":"g"}`))
		f.Add([]byte(`{"id":1,"cmd":"` + name + `","group":"g"}`))
	}
	f.Add([]byte(`{"id":"x","cmd":"process","group":"g","message":"0001000200"}`))
	f.Add([]byte(`{"cmd":"commit","group":"g","adds":["00010005"],"removes":[0],"psks":["00"],"extensions":[{"type":3,"data":"00"}]}`))
	f.Add([]byte(`{"cmd":"restore","client":"c","group":"h","records":[["67726f7570","01"]]}`))
	f.Add([]byte(`{"cmd":"seal","group":"g","data":"00"}` + "\n" + `{"cmd":"export","group":"g","label":"l","length":9}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		const begin = `{"cmd":"client","client":"c","suite":1}` + "\n" + `{"cmd":"create","client":"c","group":"g","group_id":"01"}` + "\n"
		var out bytes.Buffer
		if err := serve(strings.NewReader(begin+string(lines)), &out); err != nil {
			t.Fatal(err)
		}
		wanted := 2
		for line := range bytes.SplitSeq(lines, []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 {
				wanted++
			}
		}
		for line := range bytes.Lines(out.Bytes()) {
			wanted--
			var r struct {
				Error *failure `json:"error"`
			}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("answers %s: %v", line, err)
			}
			if r.Error != nil && r.Error.Name == "internal" {
				t.Fatalf("panics: %s", line)
			}
		}
		if wanted != 0 {
			t.Fatalf("%d answers are missing", wanted)
		}
	})
}
