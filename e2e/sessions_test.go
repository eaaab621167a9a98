package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
)

func TestLogoutClosesStreamsOnEveryNode(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		phone := d.person(t, 0, "alice")
		laptop := phone.device(1)
		tokens := phone.Tokens()
		inboxToken, err := phone.InboxToken(t.Context())
		require.NoError(t, err)
		closing := []*inbox{phone.at(0).stream(client.Now), phone.at(1).stream(client.Now)}
		polling := make(chan answer, 1)
		go func() {
			got, err := try(t.Context(), phone.http, raw{url: d.url(1, "/v1/inbox/poll?cursor=now&wait=20"), token: tokens.Access})
			assert.NoError(t, err)
			polling <- got
		}()
		staying := laptop.at(1).stream(client.Now)

		sessions, err := laptop.Sessions(t.Context())
		require.NoError(t, err)
		require.Len(t, sessions.Items, 2)
		assert.Equal(t, laptop.session, sessions.Items[0].ID, "newest first")
		assert.True(t, sessions.Items[0].Current)
		assert.False(t, sessions.Items[1].Current)

		began := time.Now()
		require.NoError(t, phone.at(0).Logout(t.Context()))
		for _, i := range closing {
			i.untilWithin(2*time.Second, "bye", func() bool { return len(i.byes) > 0 })
			assert.Equal(t, client.ByeReasonRevoked, i.byes[0])
		}
		t.Logf("streams on both nodes were closed %v after the logout began", time.Since(began))
		for _, i := range closing {
			i.until("the end of the loop", func() bool { return i.err != nil })
			refused(t, i.err, http.StatusUnauthorized, client.ProblemCodeSessionEnded)
		}
		select {
		case got := <-polling:
			assert.Contains(t, []int{http.StatusOK, http.StatusUnauthorized}, got.status, "%s", got.body)
		case <-time.NewTimer(5 * time.Second).C:
			assert.Fail(t, "the poll of an ended session still waits")
		}
		for n := range 2 {
			for name, r := range map[string]raw{
				"access token": {url: d.url(n, "/v1/me"), token: tokens.Access},
				"inbox token":  {url: d.url(n, "/v1/inbox/poll?wait=0&access_token="+inboxToken.Token)},
				"refresh token": {
					method: http.MethodPost, url: d.url(n, "/v1/auth/refresh"), body: `{"refresh_token":"` + tokens.Refresh + `"}`,
				},
			} {
				got := ask(t, phone.http, r)
				assert.Equal(t, http.StatusUnauthorized, got.status, name)
				assert.Equal(t, client.ProblemCodeSessionEnded, got.problem().Code, name)
			}
		}

		revoked, ok := staying.first(client.EventSessionRevoked).Value().(client.SessionRevokedData)
		require.True(t, ok)
		assert.Equal(t, phone.session, revoked.SessionID)
		_, err = laptop.Me(t.Context())
		require.NoError(t, err, "the other session lives")

		// A lost phone is put out from elsewhere in the same way.
		tablet := phone.device(0)
		lost := tablet.at(1).stream(client.Now)
		require.NoError(t, laptop.EndSession(t.Context(), tablet.session))
		lost.untilWithin(2*time.Second, "bye", func() bool { return len(lost.byes) > 0 })
		refused(t, laptop.EndSession(t.Context(), tablet.session), http.StatusNotFound, client.ProblemCodeNotFound)
		assert.Empty(t, staying.byes)
	})
}

func TestLoginIsToldToTheOtherDevices(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		phone := d.person(t, 0, "alice")
		assert.Empty(t, phone.everything(10), "who has registered has no other devices")
		before, err := phone.Sync(t.Context())
		require.NoError(t, err)
		staying := phone.stream(before.Cursor)
		laptop := phone.device(1)
		begun, ok := staying.first(client.EventSessionCreated).Value().(client.SessionCreatedData)
		require.True(t, ok)
		listed, err := phone.Sessions(t.Context())
		require.NoError(t, err)
		session := listed.Items[0]
		assert.Equal(t, laptop.session, session.ID)
		assert.Equal(t, client.SessionCreatedData{
			ID: session.ID, DeviceName: "another", CreatedAt: session.CreatedAt, LastSeenAt: session.CreatedAt,
			Address: session.Address, UserAgent: session.UserAgent, ExpiresAt: session.ExpiresAt,
		}, begun)
		assert.NotEmpty(t, begun.Address)
		raw := string(staying.first(client.EventSessionCreated).Data)
		for _, secret := range []string{laptop.Tokens().Access, laptop.Tokens().Refresh, "token", "current"} {
			assert.NotContains(t, raw, secret)
		}
		// Where the new one begins is after that: it learns nothing about itself.
		first, err := laptop.Poll(t.Context(), client.PollOptions{})
		require.NoError(t, err)
		assert.Empty(t, first.Events)
		refused(t, failure(phone.Login(t.Context(), client.LoginRequest{Username: phone.name, Password: "not it"})), http.StatusUnauthorized, client.ProblemCodeInvalidCredentials)
		assert.Len(t, phone.everything(10), 1, "a login that fails is told to nobody")
	})
}

func TestRefreshRotation(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		p := d.person(t, 0, "alice")
		first := p.Tokens().Refresh
		refresh := func(n int, token string) (client.SignIn, error) {
			return d.on(t, p.http, n, client.Options{Tokens: client.Tokens{Refresh: token}}).Refresh(t.Context())
		}
		second, err := refresh(0, first)
		require.NoError(t, err)
		assert.NotEqual(t, first, second.RefreshToken)
		assert.Equal(t, p.session, second.SessionID)
		assert.Positive(t, second.ExpiresIn)

		// The answer was lost: the old one is asked again, on another node, as often as it takes.
		for n := range 3 {
			second, err = refresh(n, first)
			require.NoError(t, err, "the old one is good until the new one is used")
		}
		third, err := refresh(1, second.RefreshToken)
		require.NoError(t, err)
		me := d.on(t, p.http, 1, client.Options{Tokens: client.Tokens{Access: third.AccessToken}})
		_, err = me.Me(t.Context())
		require.NoError(t, err)

		_, err = refresh(0, first)
		refused(t, err, http.StatusUnauthorized, client.ProblemCodeSessionEnded)
		_, err = refresh(0, third.RefreshToken)
		refused(t, err, http.StatusUnauthorized, client.ProblemCodeSessionEnded)
		for n := range 2 {
			eventually(t, "the access token of the ended session is refused", func() bool {
				got := ask(t, p.http, raw{url: d.url(n, "/v1/me"), token: third.AccessToken})
				return got.status == http.StatusUnauthorized
			})
		}
		_, err = refresh(0, "r1.nonsense")
		var problem *client.Problem
		require.ErrorAs(t, err, &problem)
		assert.Equal(t, http.StatusUnauthorized, problem.Status)
	})
}

// An access token that expires in the middle of everything is nobody's business but the client's and the server's.
func TestExpiringTokensDisturbNobody(t *testing.T) {
	t.Parallel()
	d := fresh(t, embedded, settings{"ACCESS_TOKEN_LIFETIME": "2s"})
	alice, bob := d.friends(t)
	reader := bob.stream(client.Begin)
	stop := time.Now().Add(7 * time.Second)
	sent := 0
	for time.Now().Before(stop) {
		alice.say(bob, "still here")
		sent++
		<-time.NewTimer(100 * time.Millisecond).C
	}
	reader.hasMessages("", sent)
	reader.until("the stream ends in time for its token", func() bool { return len(reader.byes) > 1 })
	assert.Subset(t, []client.ByeReason{client.ByeReasonTokenExpiring}, reader.byes)
	signedIn, err := alice.Sessions(t.Context())
	require.NoError(t, err)
	assert.Len(t, signedIn.Items, 1, "it is one session all the time")
}

func TestTokensGoWhereTheyBelong(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		p := d.person(t, 0, "alice")
		get := func(path, token string, headers map[string]string) answer {
			return ask(t, p.http, raw{url: d.url(1, path), token: token, headers: headers})
		}
		access := p.Tokens().Access
		inbox, err := p.InboxToken(t.Context())
		require.NoError(t, err)

		for _, path := range []string{"/v1/inbox/poll?wait=0", "/v1/inbox/stream?cursor=now"} {
			got := get(path+"&access_token="+access, "", nil)
			assert.Equal(t, http.StatusUnauthorized, got.status, "a full token in a URL ends in logs")
		}
		assert.Equal(t, http.StatusOK, get("/v1/inbox/poll?wait=0&access_token="+inbox.Token, "", nil).status)
		assert.Equal(t, http.StatusOK, get("/v1/inbox/poll?wait=0&access_token="+inbox.Token, "", nil).status, "it may be used again")
		assert.Equal(t, http.StatusOK, get("/v1/inbox/poll?wait=0", inbox.Token, nil).status)
		for _, path := range []string{"/v1/me", "/v1/sync", "/v1/conversations"} {
			assert.Equal(t, http.StatusUnauthorized, get(path, inbox.Token, nil).status, "an inbox token reads the inbox only: %s", path)
			got := ask(t, p.http, raw{url: d.url(0, path+"?access_token="+inbox.Token), wrong: true})
			assert.Equal(t, http.StatusUnauthorized, got.status, path)
		}

		login := ask(t, p.http, raw{
			method: http.MethodPost, url: d.url(0, "/v1/auth/login"), body: `{"username":"` + p.name + `","password":"` + password + `"}`,
		})
		response := http.Response{Header: login.header}
		require.Len(t, response.Cookies(), 1)
		cookie := response.Cookies()[0]
		assert.Equal(t, "longwire_inbox", cookie.Name)
		assert.True(t, cookie.HttpOnly)
		assert.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
		assert.Equal(t, "/v1/inbox", cookie.Path)
		with := map[string]string{"Cookie": cookie.Name + "=" + cookie.Value}
		assert.Equal(t, http.StatusOK, get("/v1/inbox/poll?wait=0", "", with).status)
		assert.Equal(t, http.StatusUnauthorized, get("/v1/me", "", with).status)
		forged := ask(t, p.http, raw{
			method: http.MethodPost, url: d.url(0, "/v1/inbox/ack"), body: `{"cursor":"begin"}`, headers: with,
		})
		assert.Equal(t, http.StatusUnauthorized, forged.status, "a cookie changes nothing")
	})
}
