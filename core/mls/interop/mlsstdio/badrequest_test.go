package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestBadLinesAreAnswered(t *testing.T) {
	e := startOwn(t, "a")
	for _, line := range []string{
		"x", "{", "[]", "1", `"text"`, "null", "{}", `{"id":{},"cmd":"hello"}`, `{"id":[],"cmd":"hello"}`, `{"id":1,"cmd":"hello"} more`,
		`{"id":1,"cmd":["hello"]}`, `{"id":1,"cmd":"hello","extra":1}`, `{"id":1,"cmd":"client","client":7}`,
		`{"id":1,"cmd":"client","client":"a","suite":65536}`, `{"id":1,"cmd":"client","client":"a","suite":-1}`,
		`{"id":1,"cmd":"client","client":"a","suite":1,"identity":"xyz"}`, `{"id":1,"cmd":"client","client":"a","suite":1,"identity":"a"}`,
		`{"id":1,"cmd":"seal","group":"g","data":"00","aad":17}`, "\xff\xfe", "{\"id\":1,\"cmd\":\"\x00\"}", strings.Repeat("[", 20000),
	} {
		answer := e.line([]byte(line))
		var r struct {
			Result json.RawMessage `json:"result"`
			Error  *failure        `json:"error"`
		}
		if err := json.Unmarshal(answer, &r); err != nil || r.Result != nil || r.Error == nil {
			t.Errorf("%.60q is answered by %s (%v)", line, answer, err)
		} else if r.Error.Name != "bad-request" && r.Error.Name != "unknown-command" {
			t.Errorf("%.60q is answered by %s", line, answer)
		}
	}
	e.call("hello", params{}, nil)
}

func TestIDIsEchoed(t *testing.T) {
	e := startOwn(t, "a")
	for _, id := range []string{"1", "-7.5e3", `"some text"`, "null"} {
		answer := e.line([]byte(`{"id":` + id + `,"cmd":"nothing"}`))
		if want := `{"id":` + id + `,"error"`; !bytes.HasPrefix(answer, []byte(want)) {
			t.Errorf("id %s is answered by %s", id, answer)
		}
	}
	if answer := e.line([]byte(`{"cmd":"nothing"}`)); !bytes.HasPrefix(answer, []byte(`{"id":null,"error"`)) {
		t.Errorf("no id is answered by %s", answer)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 100_000) // longer than the reader's buffer
	r := bufio.NewReader(strings.NewReader("a\n\n" + long + "\nlast"))
	for _, want := range []string{"a\n", "\n", long + "\n", "last"} {
		if got, err := readLine(r); err != nil || string(got) != want {
			t.Errorf("read %.20q, %v instead of %.20q", got, err, want)
		}
	}
	if _, err := readLine(r); err != io.EOF {
		t.Errorf("the end is %v", err)
	}
	tooLong := io.MultiReader(io.LimitReader(xs{}, maxLine+1), strings.NewReader("\nnext\n"))
	var out bytes.Buffer
	if err := serve(tooLong, &out); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(out.Bytes(), []byte(`"bad-request"`)); n != 2 {
		t.Errorf("a line that is too long and one that is bad are answered by %s", &out)
	}
}

type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestRefusals goes through the errors that a driver meets.
func TestRefusals(t *testing.T) {
	e := startOwn(t, "a")
	w := newWorld(t, 1, func() string { return "private" }, e)
	w.add(w.members[0], params{}, e)
	a, b := w.members[0].handle, w.members[1].handle
	other := e.newClient(2, "private")

	e.refuses("unknown-command", "fly", nil)
	e.refuses("bad-request", "client", params{"suite": 1})
	e.refuses("bad-request", "client", params{"client": "x", "suite": 1, "handshakes": "shouted"})
	e.refuses("unsupported", "client", params{"client": "x", "suite": 0x0a0a})
	e.refuses("signer", "client", params{"client": "x", "suite": 1, "signature_private_key": "00"})
	e.refuses("handle-taken", "client", params{"client": a, "suite": 1})
	e.refuses("unknown-handle", "keypackage", params{"client": "nobody"})
	e.refuses("unknown-handle", "psk", params{"client": "nobody"})
	e.refuses("handle-taken", "create", params{"client": a, "group": a, "group_id": "00"})
	e.refuses("bad-request", "create", params{"client": a, "group_id": "00"})
	e.refuses("no-key-package", "join", params{"client": a, "group": "new", "welcome": ""})
	e.refuses("bad-request", "drop", params{})
	for _, cmd := range []string{"propose", "commit", "process", "merge", "discard", "seal", "open", "export", "info", "save", "groupinfo"} {
		e.refuses("unknown-handle", cmd, params{"group": "none"})
	}

	e.refuses("no-pending", "merge", params{"group": a})
	e.refuses("no-pending", "discard", params{"group": a})
	e.refuses("malformed", "process", params{"group": a, "message": "00"})
	e.refuses("malformed", "open", params{"group": a, "message": ""})
	e.refuses("malformed", "commit", params{"group": a, "adds": []string{"00010005"}})
	e.refuses("malformed", "commit", params{"group": a, "adds": []string{"00"}})
	e.refuses("bad-request", "propose", params{"group": a, "type": "peace"})
	e.refuses("missing-psk", "commit", params{"group": a, "psks": []string{"00"}})
	var wrong keyPackageResult
	e.call("keypackage", params{"client": other}, &wrong)
	e.refuses("invalid", "commit", params{"group": a, "adds": []octets{wrong.KeyPackage}})
	if f := e.try("commit", params{"group": a, "removes": []int{7}}, nil); f == nil || f.Section != "12.1.3" {
		t.Errorf("removing nobody is answered by %+v", f)
	}
	e.refuses("corrupt-state", "restore", params{"client": a, "group": "new", "records": [][]string{{"00", "00"}}})
	e.refuses("malformed", "external-join", params{"client": a, "group": "new", "group_info": "00"})

	e.refuses("invalid", "successor", params{"from": a, "client": a, "group": "new"})
	var branch commitResult
	p := params{"from": a, "client": a, "group": "branch", "group_id": "07", "key_packages": []octets{w.members[1].keyPackage()}}
	e.call("successor", p, &branch)
	e.refuses("successor", "join", params{"client": b, "group": "branch too", "welcome": branch.Welcome})

	var c commitResult
	e.call("commit", params{"group": a}, &c)
	e.refuses("pending", "commit", params{"group": a})
	e.refuses("own-message", "process", params{"group": a, "message": c.Message})
	e.refuses("unsupported", "open", params{"group": b, "message": c.Message})
	e.call("process", params{"group": b, "message": c.Message}, nil)
	e.call("discard", params{"group": b}, nil)
	e.call("discard", params{"group": a}, nil)
	w.say(w.members[0])
	w.check()
}

func TestManyRequestsAtOnce(t *testing.T) {
	var in, out bytes.Buffer
	const n = 100
	for i := range n {
		fmt.Fprintf(&in, `{"id":%d,"cmd":"hello"}`+"\n", i)
	}
	if err := serve(&in, &out); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		line, err := out.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, fmt.Sprintf(`{"id":%d,"result":{`, i)) {
			t.Fatalf("request %d is answered by %s %v", i, line, err)
		}
	}
}
