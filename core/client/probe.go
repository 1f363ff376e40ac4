package client

import (
	"context"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Probe asks a server about itself. Errors: ErrServerUnreachable,
// ErrServerIdentity, ErrServerIncompatible.
func Probe(ctx context.Context, link Link) (ServerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := wire.Dial(ctx, link, wire.DialOptions{})
	if err != nil {
		return ServerInfo{}, fromWire(err)
	}
	defer conn.Close()
	return serverInfo(ctx, conn)
}

func serverInfo(ctx context.Context, conn *wire.Conn) (ServerInfo, error) {
	var m qpcv1.InfoResponse
	if err := conn.Call(ctx, &qpcv1.InfoRequest{}, &m); err != nil {
		return ServerInfo{}, fromWire(err)
	}
	return infoOf(&m), nil
}

// ServerInfo asks the own server about itself. Errors: ErrOffline.
func (c *Client) ServerInfo(ctx context.Context) (ServerInfo, error) {
	if err := c.awaitOnline(ctx); err != nil {
		return ServerInfo{}, err
	}
	var m qpcv1.InfoResponse
	if err := c.anonymous.call(ctx, &qpcv1.InfoRequest{}, &m); err != nil {
		return ServerInfo{}, c.closedOr(err)
	}
	return infoOf(&m), nil
}

func infoOf(m *qpcv1.InfoResponse) ServerInfo {
	return ServerInfo{
		Name:         m.ServerName,
		Version:      m.Version,
		Registration: Registration(m.Registration),
		PushKey:      m.PushKey,
		Rendezvous:   rendezvousLinks(m.Rendezvous),
		MaxBlobSize:  m.MaxBlobSize,
	}
}
