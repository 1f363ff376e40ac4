package server

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// finder looks for many byte strings at once.
type finder struct {
	first   [1 << 21]uint64     // bits of those beginnings, to pass over most text quickly
	needles map[uint32][]needle // by their first four bytes
}

// needle is one spelling of something hidden.
type needle struct {
	text   []byte
	hidden *hidden
	raw    bool
}

// hidden is something that must not be found, but in some columns.
type hidden struct {
	what    string
	value   []byte
	columns []string // "table.column", where its raw bytes may be
	deleted bool     // its raw bytes may be where a database has not cleaned up yet
}

func newFinder(all []*hidden) *finder {
	f := &finder{needles: make(map[uint32][]needle)}
	for _, h := range all {
		f.add(needle{h.value, h, true})
		for _, text := range encodings(h.value) {
			f.add(needle{text, h, false})
		}
	}
	return f
}

func (f *finder) add(n needle) {
	if len(n.text) < 6 {
		panic(n.hidden.what + " is too short to be looked for")
	}
	key := beginning(n.text)
	f.first[key>>11] |= 1 << (key & 63)
	f.needles[key] = append(f.needles[key], n)
}

func beginning(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// find calls found for every needle in text.
func (f *finder) find(text []byte, found func(needle)) {
	for i := 0; i+4 <= len(text); i++ {
		key := beginning(text[i:])
		if f.first[key>>11]&(1<<(key&63)) == 0 {
			continue
		}
		for _, n := range f.needles[key] {
			if bytes.HasPrefix(text[i:], n.text) {
				found(n)
			}
		}
	}
}

// encodings are the ways in which bytes could show up in text, alone or as a
// part of something longer.
func encodings(b []byte) [][]byte {
	lower := hex.EncodeToString(b)
	texts := []string{lower, strings.ToUpper(lower), fmt.Sprint(b)}
	if quoted := fmt.Sprintf("%q", b); quoted != `"`+string(b)+`"` {
		texts = append(texts, strings.Trim(quoted, `"`))
	}
	if len(b) == 16 {
		uuid := lower[:8] + "-" + lower[8:12] + "-" + lower[12:16] + "-" + lower[16:20] + "-" + lower[20:]
		texts = append(texts, uuid, strings.ToUpper(uuid))
	}
	for before := range 3 { // in base64, what comes before shifts the letters
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, before), b...))
			from, to := (8*before+5)/6, (8*(before+len(b)))/6 // of the letters that b alone decides
			texts = append(texts, text[from:to])
		}
	}
	var all [][]byte
	for _, text := range texts {
		if len(text) >= 6 {
			all = append(all, []byte(text))
		}
	}
	return all
}

func TestFinderFindsEverySpelling(t *testing.T) {
	for range 50 {
		id := random(16)
		f := newFinder([]*hidden{{what: "an id", value: id}})
		around := append(append(random(5), id...), random(7)...)
		for name, text := range map[string]string{
			"bytes":      string(around),
			"hex":        fmt.Sprintf("<%x>", around),
			"HEX":        fmt.Sprintf("<%X>", around),
			"numbers":    fmt.Sprint("id=", id),
			"quoted":     fmt.Sprintf("id=%q", id),
			"base64":     "id=" + base64.StdEncoding.EncodeToString(around),
			"base64 +1":  "id=" + base64.StdEncoding.EncodeToString(around[1:]),
			"base64 +2":  "id=" + base64.StdEncoding.EncodeToString(around[2:]),
			"base64 URL": "id=" + base64.URLEncoding.EncodeToString(id),
			"UUID":       fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		} {
			found := 0
			f.find([]byte(text), func(needle) { found++ })
			if found == 0 {
				t.Errorf("%s is not found: %s", name, text)
			}
		}
		f.find(random(10_000), func(n needle) { t.Errorf("found in noise: %q", n.text) })
	}
}
