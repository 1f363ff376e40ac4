package storage

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
)

// URL names a database: postgres://user:password@host/name. It may hold a
// password, so it shows itself without it and without parameters; Reveal gives
// all of it.
type URL string

// ErrURL: a URL cannot be understood. The text does not repeat it.
var ErrURL = errors.New("the store's URL is not one such as postgres://user:password@host/database; in the password, write @ : / ? # and % as %40 %3A %2F %3F %23 and %25")

// Reveal is the URL with its password.
func (u URL) Reveal() string { return string(u) }

// Parse takes the URL apart. ErrURL.
func (u URL) Parse() (*url.URL, error) {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" || parsed.Opaque != "" || parsed.Fragment != "" {
		return nil, ErrURL
	}
	// an @ elsewhere comes after a password with a character that ended the host
	if strings.Contains(parsed.Path, "@") || strings.Contains(parsed.RawQuery, "@") {
		return nil, ErrURL
	}
	return parsed, nil
}

// HasPassword tells whether the URL holds one.
func (u URL) HasPassword() bool {
	parsed, err := u.Parse()
	if err != nil {
		return u != ""
	}
	_, has := parsed.User.Password()
	return has || parsed.Query().Has("password")
}

// String shows where the database is.
func (u URL) String() string {
	parsed, err := u.Parse()
	if err != nil {
		return "[store url]"
	}
	shown := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}
	return shown.String()
}

// GoString is String.
func (u URL) GoString() string { return u.String() }

// LogValue is String.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is String, for encoders.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
