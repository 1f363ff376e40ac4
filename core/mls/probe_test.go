package mls

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// memory is what a probe has found: every []byte that can be reached from a
// value, by the way to it, unexported fields and maps included.
type memory map[string][]byte

// probe walks everything reachable from v but for what is no state of a group:
// configuration, signer, suite tables and functions.
func probe(v any) memory {
	m := memory{}
	m.walk("", reflect.ValueOf(v), map[visit]bool{})
	return m
}

type visit struct {
	at  unsafe.Pointer
	typ reflect.Type
}

// notState are types that the walk leaves out.
var notState = []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[suite]()}

func (m memory) walk(path string, v reflect.Value, seen map[visit]bool) {
	if !v.IsValid() || slices.Contains(notState, v.Type()) || strings.HasSuffix(path, ".signer") {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		at := visit{v.UnsafePointer(), v.Type()}
		if !v.IsNil() && !seen[at] {
			seen[at] = true
			m.walk(path, v.Elem(), seen)
		}
	case reflect.Interface:
		m.walk(path, v.Elem(), seen)
	case reflect.Struct:
		for i := range v.NumField() {
			m.walk(path+"."+v.Type().Field(i).Name, v.Field(i), seen)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			if !v.IsNil() {
				m[path] = v.Bytes()
			}
			return
		}
		for i := range v.Len() {
			m.walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i), seen)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			m.walk(fmt.Sprintf("%s[%v]", path, k), v.MapIndex(k), seen)
		}
	}
}

// isSecret tells whether the bytes at a path of a Group must not outlive their use.
func isSecret(path string) bool {
	for _, part := range []string{".secrets.", ".keys", ".newPrivate", ".senderData", ".resumption"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}

// secret selects what is secret, and copies it beside the memory that holds it.
func (m memory) secret() (held, copied memory) {
	held, copied = memory{}, memory{}
	for path, b := range m {
		if isSecret(path) && len(b) >= 12 {
			held[path], copied[path] = b, bytes.Clone(b)
		}
	}
	return held, copied
}

func (m memory) where(secret []byte) (paths []string) {
	for path, b := range m {
		if bytes.Contains(b, secret) {
			paths = append(paths, path)
		}
	}
	return paths
}

// dump writes everything that a live group holds, in a fixed order, so that two
// dumps differ where anything has changed.
func dump(g *Group) string {
	var d dumper
	d.seen = map[visit]int{}
	d.write(reflect.ValueOf(g))
	return d.String()
}

type dumper struct {
	strings.Builder
	seen map[visit]int
}

func (d *dumper) write(v reflect.Value) {
	if !v.IsValid() || slices.Contains(notState, v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			d.WriteString("nil")
			return
		}
		at := visit{v.UnsafePointer(), v.Type()}
		if n, ok := d.seen[at]; ok {
			fmt.Fprintf(d, "→%d", n)
			return
		}
		d.seen[at] = len(d.seen)
		d.write(v.Elem())
	case reflect.Interface:
		d.write(v.Elem())
	case reflect.Struct:
		d.WriteString("{")
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "signer" || derived[f.Name] {
				continue
			}
			d.WriteString(f.Name + ":")
			d.write(v.Field(i))
			d.WriteString("\n")
		}
		d.WriteString("}")
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(d, "%x", v.Bytes())
			return
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fmt.Fprintf(d, "%d ", i)
			d.write(v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, k := range keys {
			fmt.Fprintf(d, "%v=", k)
			d.write(v.MapIndex(k))
			d.WriteString("\n")
		}
	case reflect.Func, reflect.Chan:
	default:
		fmt.Fprint(d, v)
	}
}

// derived are fields that hold what can be computed at any time from the others, or what
// saves memory without meaning anything.
var derived = map[string]bool{"hash": true, "lists": true}

// TestProbe: the instrument sees what it is for, so that its silence means something.
func TestProbe(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	g := peers[1].g
	if _, err := g.ProposeUpdate(nil); err != nil {
		t.Fatal(err)
	}
	peers[1].hears(peers[0].seal("x"), "x", peers[0])
	peers[1].commit(CommitOptions{})
	m := probe(g)
	for name, b := range map[string][]byte{
		"leaf key":       g.cur.keys[2],
		"init secret":    g.cur.secrets.init,
		"tree secret":    g.keys.nodes[5],
		"ratchet":        g.keys.ratchets[ratchetID{0, ratchetApplication}].secret,
		"update's key":   g.proposals[0].newPrivate,
		"pending secret": g.pending.next.secrets.exporter,
		"pending key":    g.pending.next.keys[2],
	} {
		paths := m.where(b)
		if len(b) == 0 || len(paths) == 0 || !slices.ContainsFunc(paths, isSecret) {
			t.Errorf("%s is seen at %v", name, paths)
		}
	}
	before := dump(g)
	if dump(g) != before {
		t.Fatal("two dumps of one state differ")
	}
	for name, b := range map[string][]byte{
		"tree":        g.cur.tree.leaf(2).raw,
		"transcript":  g.cur.interim,
		"pending key": g.pending.next.keys[2],
		"ratchet":     g.keys.ratchets[ratchetID{0, ratchetApplication}].secret,
	} {
		b[0] ^= 1
		if dump(g) == before {
			t.Errorf("a changed %s is not in the dump", name)
		}
		b[0] ^= 1
	}
	g.proposals[0].rejected = true
	if dump(g) == before {
		t.Error("a changed flag is not in the dump")
	}
}

// resists checks that a message is refused with this error (as of expect) and
// that not a byte of the group or its records is another one after it.
func (p *peer) resists(t testing.TB, message []byte, want any) {
	t.Helper()
	before := dump(p.g)
	_, err := p.g.Process(message)
	if err == nil {
		t.Fatalf("%s processes what breaks %v", p.name, want)
	}
	expect(t, err, want)
	if c := p.g.TakeChanges(); len(c) != 0 {
		t.Errorf("%s: a refused message changed %d records", p.name, len(c))
	}
	if dump(p.g) != before {
		t.Errorf("%s: a refused message changed the group", p.name)
	}
}
