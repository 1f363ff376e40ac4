package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestURLHidesThePassword(t *testing.T) {
	const secret = "s3cr3t"
	for text, shown := range map[string]string{
		"postgres://qpc:s3cr3t@db.example/qpc":            "postgres://db.example/qpc",
		"postgres://qpc:s3cr3t%40%2F@db.example:5433/qpc": "postgres://db.example:5433/qpc",
		"postgresql://db/qpc?user=qpc&password=s3cr3t":    "postgresql://db/qpc",
		"postgres://qpc:12/s3cr3t@db.example/qpc":         "[store url]",
		"postgres://qpc:12?s3cr3t@db.example/qpc":         "[store url]",
		"postgres://qpc:12#s3cr3t@db.example/qpc":         "[store url]",
		"postgres://qpc:%zzs3cr3t@db.example/qpc":         "[store url]",
		"host=db.example user=qpc password=s3cr3t":        "[store url]",
		"s3cr3t": "[store url]",
		"postgres://qpc:s3cr3t@[fe80::1]:99/qpc?sslmode=prefer": "postgres://[fe80::1]:99/qpc",
	} {
		u := URL(text)
		if u.String() != shown || u.Reveal() != text || !u.HasPassword() {
			t.Errorf("%q shows as %q", text, u)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "url", u, "in", struct{ URL URL }{u}, "list", []URL{u})
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "url", u, "in", struct{ URL URL }{u})
		encoded, err := json.Marshal(map[string]any{"url": u})
		if err != nil {
			t.Fatal(err)
		}
		_, err = u.Parse()
		if shown == "[store url]" && !errors.Is(err, ErrURL) {
			t.Errorf("%q: got %v, want ErrURL", text, err)
		}
		all := fmt.Sprintf("%v %s %q %+v %#v %s %s %v", u, u, u, struct{ URL URL }{u}, u, encoded, log.String(), err)
		if strings.Contains(all, secret) {
			t.Errorf("the password shows: %s", all)
		}
	}
	if URL("postgres://qpc@db/qpc").HasPassword() || URL("").HasPassword() {
		t.Error("sees a password where there is none")
	}
}
