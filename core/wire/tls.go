package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
)

// ALPN is the protocol's name in TLS.
const ALPN = "qpc"

// exporterLabel and exporterLength define what Exporter returns.
const (
	exporterLabel  = "EXPORTER-qpc-device-auth"
	exporterLength = 32
)

// keyExchanges: the hybrid first, so that a recording of today's traffic stays
// closed to a quantum computer.
var keyExchanges = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}

// PinOf returns the SHA-256 of the certificate's SubjectPublicKeyInfo, the
// value of a link's pin. For something that holds no certificate it is zero,
// which no server matches.
func PinOf(cert tls.Certificate) [32]byte {
	if cert.Leaf != nil {
		return pinOf(cert.Leaf)
	}
	if len(cert.Certificate) == 0 {
		return [32]byte{}
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return [32]byte{}
	}
	return pinOf(leaf)
}

func pinOf(leaf *x509.Certificate) [32]byte {
	return sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
}

// ServerTLS returns the server's configuration: TLS 1.3 only, no session
// tickets, so that there is neither 0-RTT nor anything to link two
// connections of one client by.
func ServerTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       keyExchanges,
		NextProtos:             []string{ALPN},
		SessionTicketsDisabled: true,
	}
}

// ClientTLS returns the client's configuration. With a pin the server's public
// key is its identity: names, issuer and dates of its certificate do not
// matter. Without one the certificate must be publicly trusted for host.
func ClientTLS(host string, pin []byte) *tls.Config {
	c := &tls.Config{
		ServerName:             host,
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       keyExchanges,
		NextProtos:             []string{ALPN},
		SessionTicketsDisabled: true,
	}
	if pin != nil {
		// The handshake still proves possession of the key; VerifyConnection
		// takes the place of the chain of issuers.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrPinMismatch
			}
			got := pinOf(s.PeerCertificates[0])
			if subtle.ConstantTimeCompare(got[:], pin) != 1 {
				return ErrPinMismatch
			}
			return nil
		}
	}
	return c
}

// exporter derives the 32 bytes that device authentication signs.
func exporter(s tls.ConnectionState) ([]byte, error) {
	return s.ExportKeyingMaterial(exporterLabel, nil, exporterLength)
}
