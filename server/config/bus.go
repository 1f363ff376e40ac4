package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// BusURL names one or more NATS servers, separated by commas:
// nats://user:password@host:4222, or tls:// to insist on TLS. It may hold a
// password or a token, so it shows itself without; Reveal gives all of it.
type BusURL string

// ErrBusURL: a URL of the bus cannot be understood. The text does not repeat it.
var ErrBusURL = errors.New("not a list of URLs such as nats://user:password@host:4222 or tls://host:4222, separated by commas; in the password, write @ : / ? # % and , as %40 %3A %2F %3F %23 %25 and %2C")

// ErrBusAlone: a bus without a store that servers share connects nothing.
var ErrBusAlone = errors.New("bus.url is set, but store.url is not: servers can only share a bus if they share a PostgreSQL")

// Reveal is the URL with its password.
func (u BusURL) Reveal() string { return string(u) }

// Parse takes the URLs apart. ErrBusURL.
func (u BusURL) Parse() ([]*url.URL, error) {
	var all []*url.URL
	for text := range strings.SplitSeq(string(u), ",") {
		parsed, err := url.Parse(strings.TrimSpace(text))
		if err != nil || parsed.Scheme != "nats" && parsed.Scheme != "tls" || parsed.Hostname() == "" ||
			parsed.Opaque != "" || strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "" {
			return nil, ErrBusURL
		}
		all = append(all, parsed)
	}
	return all, nil
}

// Private tells whether nobody on the way can listen: TLS, or this machine.
func (u BusURL) Private() bool {
	all, err := u.Parse()
	return err == nil && !slices.ContainsFunc(all, func(one *url.URL) bool {
		ip, err := netip.ParseAddr(one.Hostname())
		here := one.Hostname() == "localhost" || err == nil && ip.IsLoopback()
		return one.Scheme != "tls" && !here
	})
}

// String shows where the servers are.
func (u BusURL) String() string {
	all, err := u.Parse()
	if err != nil {
		return "[bus url]"
	}
	var shown []string
	for _, one := range all {
		shown = append(shown, one.Scheme+"://"+one.Host)
	}
	return strings.Join(shown, ",")
}

// GoString is String.
func (u BusURL) GoString() string { return u.String() }

// LogValue is String.
func (u BusURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is String, for encoders.
func (u BusURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
