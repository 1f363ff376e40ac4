package franking

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

type sender struct {
	account identity.AccountID
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newSender(t testing.TB) sender {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sender{identity.NewAccountID(), public, private}
}

func (s sender) seal(t testing.TB, content []byte) []byte {
	t.Helper()
	raw, err := Seal(s.private, s.account, content)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func contentOf(t testing.TB, body string) []byte {
	t.Helper()
	raw, err := proto.Marshal(&qpcv1.Content{
		MessageId: make([]byte, messageIDSize), SentAt: 1_800_000_000_000, Body: &qpcv1.Content_Text{Text: &qpcv1.Text{Body: body}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRoundTrip(t *testing.T) {
	s := newSender(t)
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "content")
		f, err := Open(s.public, s.account, s.seal(t, content))
		if err != nil || !bytes.Equal(f.Content, content) {
			rt.Fatalf("%v, %v", f, err)
		}
	})
}

// Two messages of one text have nothing in common that shows it.
func TestKeysDiffer(t *testing.T) {
	s := newSender(t)
	one, err1 := Open(s.public, s.account, s.seal(t, []byte("same")))
	two, err2 := Open(s.public, s.account, s.seal(t, []byte("same")))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one.Key, two.Key) || bytes.Equal(one.Signature, two.Signature) {
		t.Error("a key was used twice")
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, other := newSender(t), newSender(t)
	good, err := Open(s.public, s.account, s.seal(t, []byte("what was said")))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*qpcv1.FrankedContent){
		"other text":      func(f *qpcv1.FrankedContent) { f.Content = []byte("what was not said") },
		"shorter text":    func(f *qpcv1.FrankedContent) { f.Content = f.Content[:4] },
		"no text":         func(f *qpcv1.FrankedContent) { f.Content = nil },
		"other key":       func(f *qpcv1.FrankedContent) { f.Key[0] ^= 1 },
		"short key":       func(f *qpcv1.FrankedContent) { f.Key = f.Key[:31] },
		"key with a zero": func(f *qpcv1.FrankedContent) { f.Key = append(f.Key, 0) },
		"no key":          func(f *qpcv1.FrankedContent) { f.Key = nil },
		"other signature": func(f *qpcv1.FrankedContent) { f.Signature[0] ^= 1 },
		"short signature": func(f *qpcv1.FrankedContent) { f.Signature = f.Signature[:63] },
		"no signature":    func(f *qpcv1.FrankedContent) { f.Signature = nil },
		"other's signature": func(f *qpcv1.FrankedContent) {
			f.Signature = ed25519.Sign(other.private, signed(s.account, f.Key, f.Content))
		},
		"a field more": func(f *qpcv1.FrankedContent) {
			f.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1))
		},
	} {
		f := proto.CloneOf(good)
		change(f)
		if err := Verify(s.public, s.account, f); !errors.Is(err, ErrFranking) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, who := range map[string]sender{
		"another account": {account: other.account, public: s.public},
		"another device":  {account: s.account, public: other.public},
		"no device":       {account: s.account},
	} {
		if err := Verify(who.public, who.account, good); !errors.Is(err, ErrFranking) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Verify(s.public, s.account, nil); !errors.Is(err, ErrFranking) {
		t.Errorf("nothing: %v", err)
	}
}

func TestParseContentRefuses(t *testing.T) {
	text := func(s string) *qpcv1.Content_Text { return &qpcv1.Content_Text{Text: &qpcv1.Text{Body: s}} }
	id := make([]byte, messageIDSize)
	for name, m := range map[string]*qpcv1.Content{
		"short id":   {MessageId: id[:15], Body: text("x")},
		"no body":    {MessageId: id},
		"no text":    {MessageId: id, Body: text("")},
		"blank text": {MessageId: id, Body: text(" \n\t")},
		"long text":  {MessageId: id, Body: text(strings.Repeat("x", MaxText+1))},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseContent(raw); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nothing can hide from those who know fewer fields.
	good := contentOf(t, "seen")
	hidden := protowire.AppendString(protowire.AppendTag(nil, 100, protowire.BytesType), "hidden")
	body := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "seen")
	nested := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), id)
	nested = protowire.AppendBytes(protowire.AppendTag(nested, 3, protowire.BytesType), append(body, hidden...))
	for name, raw := range map[string][]byte{
		"beside the body": append(good, hidden...), "inside the body": nested,
		"too much": append(good, make([]byte, MaxContent)...), "no message": {0xff}, "nothing": nil,
	} {
		if _, err := ParseContent(raw); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := ParseContent(contentOf(t, strings.Repeat("x", MaxText))); err != nil || len(m.GetText().Body) != MaxText {
		t.Errorf("the longest text: %v", err)
	}
}

// FuzzOpen: whatever a member writes, only its own franking opens.
func FuzzOpen(f *testing.F) {
	s := newSender(f)
	f.Add(s.seal(f, []byte("content")))
	f.Add([]byte{})
	f.Add(contentOf(f, "bare"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := Open(s.public, s.account, raw); err == nil {
			if err := Verify(s.public, s.account, got); err != nil || len(got.Content) > len(raw) {
				t.Errorf("%v, %v", got, err)
			}
		}
		if m, err := ParseContent(raw); err == nil && CheckText(m.GetText().GetBody()) != nil {
			t.Error("a text that may not be sent was accepted")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s, content := newSender(b), contentOf(b, strings.Repeat("x", 1024))
	for b.Loop() {
		s.seal(b, content)
	}
}

func BenchmarkOpen(b *testing.B) {
	s := newSender(b)
	raw := s.seal(b, contentOf(b, strings.Repeat("x", 1024)))
	for b.Loop() {
		if _, err := Open(s.public, s.account, raw); err != nil {
			b.Fatal(err)
		}
	}
}
