package identity

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckPasswordRefuses(t *testing.T) {
	for _, c := range []struct{ name, password, want string }{
		{"alice", "", "at least 10"},
		{"alice", "xk3!vQz9p", "at least 10"},
		{"alice", "ééééééééé", "at least 10"}, // nine characters, eighteen bytes
		{"alice", strings.Repeat("x9!kä", 300), "too long"},
		{"alice", "long enough \xff\xfe", "cannot be typed"},
		{"bob", "1234567890", "tries first"},
		{"bob", "Password123", "tries first"},
		{"bob", "P@ssw0rd2024!", "tries first"},
		{"bob", "!!!Dragon1984", "tries first"},
		{"bob", "correct horse battery staple", "tries first"},
		{"bob", "iloveyou<3<3<3", "tries first"},
		{"bob", "ILoveYou1987", "tries first"},
		{"alice", "alice-in-her-garden", "your name"},
		{"alice", "my4l1cepass word", "your name"},
		{"alice", "ecila-was-here", "your name"},
		{"al", "al1999al2000", "your name"},
		{"bob", "QuicProChat rocks", "name of this app"},
		{"bob", "my-quicprochat-pw", "name of this app"},
		{"bob", "aaaaaaaaaaaa", "over and over"},
		{"bob", "abxabxabxabx", "Repeating"},
		{"bob", "tulip!tulip!t", "Repeating"},
		{"bob", "x1x1xx11x1xx", "different characters"},
		{"bob", "abcdefg7654321", "sequences"},
		{"bob", "qwertasdfgyxcvb", "sequences"},
		{"bob", "aaaabbbbccccdddd1111", "sequences"},
		{"bob", "1qaz2wsx,4rfv5tgb", "sequences"},
	} {
		err := CheckPassword(c.name, c.password)
		var w *WeakPasswordError
		if !errors.As(err, &w) {
			t.Errorf("CheckPassword(%q, %q) = %v, want a *WeakPasswordError", c.name, c.password, err)
			continue
		}
		if !strings.Contains(w.Sentence, c.want) {
			t.Errorf("CheckPassword(%q, %q) = %q, want %q in it", c.name, c.password, w.Sentence, c.want)
		}
		if c.password != "" && strings.Contains(w.Sentence, c.password) {
			t.Errorf("the sentence repeats the password: %q", w.Sentence)
		}
		if !strings.HasSuffix(w.Sentence, ".") {
			t.Errorf("%q is not a sentence", w.Sentence)
		}
	}
}

func TestCheckPasswordAccepts(t *testing.T) {
	for _, c := range []struct{ name, password string }{
		{"alice", "tulip ox ladder rain"},
		{"bob", "CorrectHorse9!Gravel"},
		{"bob", "xk3!vQz9pL"},
		{"al", "marginal value theory"}, // contains a short name by chance
		{"bob", "drei Äpfel und ein Wal"},
		{"bob", "пароль моей собаки"},
		{"bob", "fjeld-42-kartoffel"},
		{"", "tulip ox ladder rain"},
		{"bob", "lantern copperlantern copper"}, // two random words, twice
	} {
		if err := CheckPassword(c.name, c.password); err != nil {
			t.Errorf("CheckPassword(%q, %q) = %v", c.name, c.password, err)
		}
	}
}

func TestWellKnownListIsUsable(t *testing.T) {
	if len(wellKnown) < 300 {
		t.Fatalf("only %d entries", len(wellKnown))
	}
	for w := range wellKnown {
		if w != strings.ToLower(w) || strings.ContainsAny(w, " \t") {
			t.Errorf("%q can never match", w)
		}
		if len(w) >= MinPassword {
			if err := CheckPassword("somebody", w); err == nil {
				t.Errorf("%q is in the list and accepted", w)
			}
		}
	}
}

func TestNormalizePassword(t *testing.T) {
	composed, decomposed := "caf\u00e9 noir", "cafe\u0301\u00a0noir"
	if got := NormalizePassword(decomposed); got != composed {
		t.Errorf("NormalizePassword(%q) = %q, want %q", decomposed, got, composed)
	}
	if got := NormalizePassword(composed); got != composed {
		t.Errorf("normalising twice changes %q to %q", composed, got)
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("alice", "tulip ox ladder rain")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, name, password string) {
		err := CheckPassword(name, password)
		if err == nil && len(password) < MinPassword {
			t.Errorf("%q accepted", password)
		}
	})
}
