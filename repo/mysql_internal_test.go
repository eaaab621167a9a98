package repo

import "testing"

func TestOnlyMariaDBReturnsWhatItInserts(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"10.11.6-MariaDB-0+deb12u1-log": true, "10.5.0-MariaDB": true, "11.8.3-MariaDB": true,
		"10.4.34-MariaDB": false, "9.7.0": false, "8.0.44-0ubuntu1": false, "": false, "MariaDB": false,
	} {
		if got := canReturn(version); got != want {
			t.Errorf("canReturn(%q) = %v", version, got)
		}
	}
}
