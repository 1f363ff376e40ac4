// Package config holds what an operator can set: one struct, filled in this
// order from the defaults, an annotated TOML file and QPC_* environment
// variables, later ones winning. Nothing is read from anywhere else, and the
// rest of the server sees only the finished, validated Config.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"quicprochat/server/storage"
)

// Registration says who may create an account.
type Registration string

// The registration modes.
const (
	RegistrationOpen   Registration = "open"
	RegistrationInvite Registration = "invite"
	RegistrationClosed Registration = "closed"
)

// DefaultPort is the UDP port of a server that states no other.
const DefaultPort = 4433

// Config is everything that can be set. The toml tags name the keys; the
// environment variable of a key is QPC_ and its path in capitals joined by
// underscores, such as QPC_RATES_POST_BURST.
type Config struct {
	// DataDir holds the server's keys and its database.
	DataDir string `toml:"data_dir"`
	// Listen is a UDP address, host:port. Port 0 takes a free one.
	Listen string `toml:"listen"`
	// PublicHost is the host in invite links; see LinkHost for empty.
	PublicHost string `toml:"public_host"`
	// PublicPort is the port in invite links; 0 means the listening one.
	PublicPort int `toml:"public_port"`
	// ServerName is what people see; empty means the link host.
	ServerName string `toml:"server_name"`
	// Names are further host names and addresses for the TLS certificate,
	// taken into account when it is created.
	Names []string `toml:"names"`
	// BlobURL is a bucket in which blobs are kept; empty means the folder
	// "blobs" in DataDir.
	BlobURL      string       `toml:"blob_url"`
	Registration Registration `toml:"registration"`
	// Rendezvous are qpc:// links of servers at which this one leaves word
	// where it can be reached.
	Rendezvous []string `toml:"rendezvous"`
	Push       Push     `toml:"push"`
	TLS        TLS      `toml:"tls"`
	Store      Store    `toml:"store"`
	Bus        Bus      `toml:"bus"`
	Log        Log      `toml:"log"`
	Limits     Limits   `toml:"limits"`
	Rates      Rates    `toml:"rates"`
	Ops        Ops      `toml:"ops"`
}

// TLS names a certificate that others vouch for. Empty: the server makes its
// own, and links carry its pin.
type TLS struct {
	// Certificate is a PEM file with the certificate and those that lead to its
	// issuer; Key a PEM file with its private key.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// Ops is where an operator's tools look at the server.
type Ops struct {
	// Listen is a TCP address, host:port, for metrics and health; empty: nowhere.
	Listen string `toml:"listen"`
	// Expose must be ExposeNetwork where Listen is not a loopback address.
	Expose string `toml:"expose"`
}

// ExposeNetwork lets others than this machine see the metrics.
const ExposeNetwork = "network"

// DefaultOpsListen is where quickstart has the server tell its figures.
const DefaultOpsListen = "127.0.0.1:9433"

// Store says where accounts, channels and queues are kept.
type Store struct {
	// URL is empty for a file in the data folder.
	URL storage.URL `toml:"url"`
}

// Push says how devices are woken that are not connected.
type Push struct {
	Enabled bool `toml:"enabled"`
	// Contact is a mailto: or https: URL that push services are told, or empty.
	Contact string `toml:"contact"`
	// PrivateNetworks are those in which a push service may be although they
	// are not public.
	PrivateNetworks []string `toml:"private_networks"`
}

// Networks are the PrivateNetworks. Those that are none are left out; Validate
// complains of them.
func (p Push) Networks() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range p.PrivateNetworks {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			list = append(list, prefix.Masked())
		}
	}
	return list
}

// Bus says how the servers of one store tell each other that something came in.
type Bus struct {
	// URL is empty for a server that is alone.
	URL BusURL `toml:"url"`
	// CredentialsFile is a .creds file of NATS; empty for none.
	CredentialsFile string `toml:"credentials_file"`
	// CAFile holds the certificates of those who vouch for the NATS servers;
	// empty for the system's.
	CAFile string `toml:"ca_file"`
}

// Log configures the operational log.
type Log struct {
	Level  slog.Level `toml:"level"`
	Format string     `toml:"format"` // "text" or "json"
}

// Limits bound what is stored.
type Limits struct {
	DevicesPerAccount     int           `toml:"devices_per_account"`
	KeyPackagesPerDevice  int           `toml:"key_packages_per_device"`
	ChannelAddresses      int           `toml:"channel_addresses"`
	QueueItems            int           `toml:"queue_items"`
	QueueBytes            int64         `toml:"queue_bytes"`
	QueueTTL              time.Duration `toml:"queue_ttl"`
	ChannelTTL            time.Duration `toml:"channel_ttl"`
	BlobSize              int64         `toml:"blob_size"`
	BlobBytesPerDay       int64         `toml:"blob_bytes_per_day"`
	BlobTTL               time.Duration `toml:"blob_ttl"`
	UploadTTL             time.Duration `toml:"upload_ttl"`
	Endpoints             int           `toml:"endpoints"`
	EndpointsPerNetwork   int           `toml:"endpoints_per_network"`
	ContactTokensPerDay   int           `toml:"contact_tokens_per_day"`
	Connections           int           `toml:"connections"`
	ConnectionsPerAddress int           `toml:"connections_per_address"`
}

// Rates hold one token bucket for each rate class of the protocol. A bucket
// is kept for every remote network (IPv4 /32, IPv6 /64) and every account.
type Rates struct {
	// Login is for the passwords of one account name, wherever they come from.
	Login  Rate `toml:"login"`
	Auth   Rate `toml:"auth"`
	Lookup Rate `toml:"lookup"`
	Post   Rate `toml:"post"`
	Own    Rate `toml:"own"`
	Blob   Rate `toml:"blob"`
}

// Rate is a token bucket: Burst calls at once, PerMinute in the long run.
type Rate struct {
	PerMinute int `toml:"per_minute"`
	Burst     int `toml:"burst"`
}

// Default is what a key has that is set nowhere. DataDir is empty: where data
// belongs depends on who runs the server.
func Default() Config {
	return Config{
		Listen:       ":4433",
		Names:        []string{},
		Registration: RegistrationInvite,
		Rendezvous:   []string{},
		Push:         Push{Enabled: true, PrivateNetworks: []string{}},
		Log:          Log{Level: slog.LevelInfo, Format: "text"},
		Limits: Limits{
			DevicesPerAccount:     20,
			KeyPackagesPerDevice:  200,
			ChannelAddresses:      2000,
			QueueItems:            100_000,
			QueueBytes:            1 << 30,
			QueueTTL:              30 * 24 * time.Hour,
			ChannelTTL:            365 * 24 * time.Hour,
			BlobSize:              100 << 20,
			BlobBytesPerDay:       2 << 30,
			BlobTTL:               30 * 24 * time.Hour,
			UploadTTL:             24 * time.Hour,
			Endpoints:             10_000,
			EndpointsPerNetwork:   20,
			ContactTokensPerDay:   500,
			Connections:           10_000,
			ConnectionsPerAddress: 500,
		},
		Rates: Rates{
			Login:  Rate{PerMinute: 2, Burst: 20},
			Auth:   Rate{PerMinute: 60, Burst: 120},
			Lookup: Rate{PerMinute: 3000, Burst: 3000},
			Post:   Rate{PerMinute: 12_000, Burst: 6000},
			Own:    Rate{PerMinute: 30_000, Burst: 10_000},
			Blob:   Rate{PerMinute: 6000, Burst: 2000},
		},
	}
}
