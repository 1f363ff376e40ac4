package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"quicprochat/core/wire"
)

// Validate says in a sentence each what is wrong, all of it at once.
func (c *Config) Validate() error {
	return errors.Join(c.validateNet(), c.validateRendezvous(), c.Push.validate(), c.Store.validate(), c.validateBus(), c.validateLog(), c.Limits.validate(), c.Rates.validate(), c.TLS.validate(), c.Ops.validate())
}

func (c *Config) validateNet() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("data_dir is not set: say where the server keeps its keys and its database"))
	}
	if _, err := listenPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen = %q is not host:port, such as :%d: %w", c.Listen, DefaultPort, err))
	}
	if err := validHost(c.PublicHost); c.PublicHost != "" && err != nil {
		errs = append(errs, fmt.Errorf("public_host = %q %w", c.PublicHost, err))
	}
	if c.PublicPort < 0 || c.PublicPort > 65535 {
		errs = append(errs, fmt.Errorf("public_port = %d is not a port: use 1 to 65535, or 0 for the listening one", c.PublicPort))
	}
	for _, name := range c.Names {
		if err := validHost(name); err != nil {
			errs = append(errs, fmt.Errorf("names: %q %w", name, err))
		}
	}
	if c.BlobURL != "" && !strings.Contains(c.BlobURL, "://") {
		errs = append(errs, errors.New("blob_url is not a URL such as s3://bucket?region=eu-central-1; leave it empty for a folder in data_dir"))
	}
	switch c.Registration {
	case RegistrationOpen, RegistrationInvite, RegistrationClosed:
	default:
		errs = append(errs, fmt.Errorf("registration = %q is none of open, invite and closed", c.Registration))
	}
	return errors.Join(errs...)
}

func (c *Config) validateRendezvous() error {
	var errs []error
	if len(c.Rendezvous) > maxRendezvous {
		errs = append(errs, fmt.Errorf("rendezvous has %d links: use at most %d", len(c.Rendezvous), maxRendezvous))
	}
	for _, text := range c.Rendezvous {
		if _, err := wire.ParseLink(text); err != nil {
			errs = append(errs, fmt.Errorf("rendezvous: %w", err))
		}
	}
	return errors.Join(errs...)
}

// maxRendezvous bounds what every client is told.
const maxRendezvous = 8

// RendezvousLinks are the links in Rendezvous, without their tokens. Those that
// are none are left out; Validate complains of them.
func (c *Config) RendezvousLinks() []wire.Link {
	var links []wire.Link
	for _, text := range c.Rendezvous {
		if link, err := wire.ParseLink(text); err == nil {
			link.Token = nil
			links = append(links, link)
		}
	}
	return links
}

func (p Push) validate() error {
	var errs []error
	if p.Contact != "" && !strings.HasPrefix(p.Contact, "mailto:") && !strings.HasPrefix(p.Contact, "https://") {
		errs = append(errs, fmt.Errorf("push.contact = %q begins with neither mailto: nor https://", p.Contact))
	}
	for _, text := range p.PrivateNetworks {
		if _, err := netip.ParsePrefix(text); err != nil {
			errs = append(errs, fmt.Errorf("push.private_networks: %q is not a network such as 192.168.1.0/24", text))
		}
	}
	return errors.Join(errs...)
}

func (s Store) validate() error {
	if s.URL == "" {
		return nil
	}
	if _, err := s.URL.Parse(); err != nil {
		return fmt.Errorf("store.url: %w", err)
	}
	return nil
}

func (c *Config) validateBus() error {
	if c.Bus.URL == "" {
		return nil
	}
	if _, err := c.Bus.URL.Parse(); err != nil {
		return fmt.Errorf("bus.url: %w", err)
	}
	if c.Store.URL == "" {
		return ErrBusAlone
	}
	return nil
}

func (t TLS) validate() error {
	if (t.Certificate == "") != (t.Key == "") {
		return errors.New("tls.certificate and tls.key belong together: set both, or neither for a certificate of the server's own")
	}
	return nil
}

// validate refuses to show the figures to others unless that is what the
// operator says in a word.
func (o Ops) validate() error {
	if o.Expose != "" && o.Expose != ExposeNetwork {
		return fmt.Errorf("ops.expose = %q is neither empty nor %q", o.Expose, ExposeNetwork)
	}
	if o.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err == nil {
		_, err = listenPort(o.Listen)
	}
	if err != nil {
		return fmt.Errorf("ops.listen = %q is not host:port, such as %s: %w", o.Listen, DefaultOpsListen, err)
	}
	if ip := net.ParseIP(host); o.Expose == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("ops.listen = %q can be reached by others, who would see the server's figures: use %s, or say expose = %q where a firewall keeps strangers out",
			o.Listen, DefaultOpsListen, ExposeNetwork)
	}
	return nil
}

func (c *Config) validateLog() error {
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("log.format = %q is neither text nor json", c.Log.Format)
	}
	return nil
}

// maxBlobSize keeps the number of chunks of one blob reasonable.
const maxBlobSize = 16 << 30

func (l Limits) validate() error {
	var errs []error
	atLeast := func(key string, value, least int64) {
		if value < least {
			errs = append(errs, fmt.Errorf("limits.%s = %d is too small: use at least %d", key, value, least))
		}
	}
	atLeast("devices_per_account", int64(l.DevicesPerAccount), 1)
	atLeast("key_packages_per_device", int64(l.KeyPackagesPerDevice), 1)
	atLeast("channel_addresses", int64(l.ChannelAddresses), 2)
	atLeast("queue_items", int64(l.QueueItems), 1)
	atLeast("queue_bytes", l.QueueBytes, 32<<20)
	atLeast("blob_size", l.BlobSize, 1<<20)
	if l.BlobSize > maxBlobSize {
		errs = append(errs, fmt.Errorf("limits.blob_size = %d is too large: use at most %d", l.BlobSize, int64(maxBlobSize)))
	}
	atLeast("blob_bytes_per_day", l.BlobBytesPerDay, 1<<20)
	atLeast("endpoints", int64(l.Endpoints), 0)
	atLeast("endpoints_per_network", int64(l.EndpointsPerNetwork), 1)
	atLeast("contact_tokens_per_day", int64(l.ContactTokensPerDay), 1)
	atLeast("connections", int64(l.Connections), 1)
	atLeast("connections_per_address", int64(l.ConnectionsPerAddress), 1)
	for key, ttl := range map[string]time.Duration{
		"queue_ttl": l.QueueTTL, "channel_ttl": l.ChannelTTL, "blob_ttl": l.BlobTTL, "upload_ttl": l.UploadTTL,
	} {
		if ttl < time.Hour {
			errs = append(errs, fmt.Errorf("limits.%s = %q is too short: use at least 1h", key, ttl))
		}
	}
	return errors.Join(errs...)
}

func (r Rates) validate() error {
	var errs []error
	for name, rate := range map[string]Rate{"login": r.Login, "auth": r.Auth, "lookup": r.Lookup, "post": r.Post, "own": r.Own, "blob": r.Blob} {
		if rate.PerMinute < 1 || rate.Burst < 1 {
			errs = append(errs, fmt.Errorf("rates.%s needs per_minute and burst of at least 1", name))
		}
	}
	return errors.Join(errs...)
}

func listenPort(address string) (int, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, errors.New("the port is missing")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errors.New("the port is not a number from 0 to 65535")
	}
	return int(port), nil
}

func validHost(host string) error {
	if host == "" || len(host) > 253 {
		return errors.New("is not a host name or address")
	}
	if net.ParseIP(host) != nil {
		return nil
	}
	if strings.Contains(host, ":") {
		return errors.New("is not a host name or address: leave out the port and the scheme")
	}
	for _, r := range host {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '-' && r != '.' && r != '_' {
			return fmt.Errorf("is not a host name or address: %q cannot be in one", r)
		}
	}
	return nil
}
