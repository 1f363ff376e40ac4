package nats

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Check tells by an error what is wrong with a bus: whether NATS answers, lets
// this server in, and delivers what it is given. It says nothing that another
// node would follow, and works beside a running server.
func Check(ctx context.Context, o Options) error {
	settings, err := connectOptions(o)
	if err != nil {
		return err
	}
	failed := make(chan error, 10)
	settings = append(settings, nats.RetryOnFailedConnect(false), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case failed <- err:
		default:
		}
	}))
	conn, err := nats.Connect(o.Servers, settings...)
	if err != nil {
		return withoutAddress(err)
	}
	defer conn.Close()
	came := make(chan struct{}, 1)
	subject := "qpc.check." + rand.Text()
	if _, err := conn.Subscribe(subject, func(*nats.Msg) { came <- struct{}{} }); err != nil {
		return withoutAddress(err)
	}
	if err := conn.Publish(subject, nil); err != nil {
		return withoutAddress(err)
	}
	select {
	case <-came:
		return nil
	case err := <-failed:
		return withoutAddress(err)
	case <-ctx.Done():
		return fmt.Errorf("it does not deliver: %w", ctx.Err())
	}
}
