package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	testPin     = bytes.Repeat([]byte{0xfb}, 32)
	testPinText = base64.RawURLEncoding.EncodeToString(testPin)
)

func TestParseLink(t *testing.T) {
	for text, want := range map[string]Link{
		"qpc://chat.example.org":                     {Host: "chat.example.org", Port: 4433},
		" qpc://Chat.Example.org:99/\n":              {Host: "chat.example.org", Port: 99},
		"QPC://h?pin=" + testPinText:                 {Host: "h", Port: 4433, Pin: testPin},
		"qpc://10.0.0.1/?token=AQI&x=y":              {Host: "10.0.0.1", Port: 4433, Token: []byte{1, 2}},
		"qpc://[::1]:1/?token=_w&pin=" + testPinText: {Host: "::1", Port: 1, Pin: testPin, Token: []byte{255}},
	} {
		if got, err := ParseLink(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestParseLinkRefuses(t *testing.T) {
	for _, text := range []string{
		"", "qpc:", "qpc://", "https://h", "h:4433", "qpc:h", "qpc://h:0", "qpc://h:65536", "qpc://h:", "qpc://h:x",
		"qpc://u@h", "qpc://h/path", "qpc://h#f", "qpc://a..b", "qpc://a b", "qpc://ü.example", "qpc://[::1", "qpc://[fe80::1%25e]",
		"qpc://h/?pin=", "qpc://h/?pin=AQI", "qpc://h/?pin=" + testPinText + "=", "qpc://h/?pin=" + strings.ToUpper(testPinText),
		"qpc://h/?pin=" + testPinText + "&pin=" + testPinText, "qpc://h/?token=", "qpc://h/?token=A", "qpc://h/?token=AQJ",
		"qpc://h/?token=%ZZ", "qpc://h/?token=A%0AQI", "qpc://h/?token=" + strings.Repeat("AAAA", 86),
		"qpc://" + strings.Repeat("a", 64), "qpc://" + strings.Repeat("a.", 2000) + "a",
	} {
		if l, err := ParseLink(text); !errors.Is(err, ErrLink) || !reflect.DeepEqual(l, Link{}) {
			t.Errorf("%q: %+v, %v", text, l, err)
		}
	}
}

func TestLinkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Link{
			Host: rapid.SampledFrom([]string{"localhost", "a-b.example", "::1", "2001:db8::2", "192.0.2.1"}).Draw(t, "host"),
			Port: rapid.IntRange(1, 65535).Draw(t, "port"),
		}
		if rapid.Bool().Draw(t, "pinned") {
			l.Pin = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pin")
		}
		if rapid.Bool().Draw(t, "invited") {
			l.Token = rapid.SliceOfN(rapid.Byte(), 1, maxToken).Draw(t, "token")
		}
		if got, err := ParseLink(l.String()); err != nil || !reflect.DeepEqual(got, l) {
			t.Fatalf("%s: %+v, %v", l, got, err)
		}
	})
}

func TestLinkStaysOutOfLogs(t *testing.T) {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "link", Link{Host: "secret.example", Port: 1, Token: []byte("token")})
	if strings.Contains(b.String(), "secret") || strings.Contains(b.String(), "dG9rZW4") {
		t.Error(b.String())
	}
}

func TestLinkErrorsKeepTheToken(t *testing.T) {
	if _, err := ParseLink("qpc://h:x/?token=c2VjcmV0"); strings.Contains(fmt.Sprint(err), "c2VjcmV0") {
		t.Error(err)
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("qpc://h:1/?pin=" + testPinText + "&token=AQI")
	f.Add("qpc://[::1]")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLink(s)
		if err != nil {
			if !errors.Is(err, ErrLink) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseLink(l.String()); err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("%q gives %q, which gives %+v, %v", s, l, again, err)
		}
	})
}
