using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Orleans.Connections.Security;

namespace Mamba.Cli.Cluster.Silos;

/// <summary>
/// TLS between silos: each shows its own certificate, and takes those that the authority has signed. Names in certificates are not
/// compared, since any silo with such a certificate is a member.
/// </summary>
internal sealed class Certificates
{
    private readonly X509Certificate2 _own, _authority;

    /// <summary>Reads PEM files.</summary>
    /// <param name="certificate">The certificate of this silo.</param>
    /// <param name="key">Its private key, without a password.</param>
    /// <param name="authority">The certificate of the authority.</param>
    /// <exception cref="ClusterException">One of them cannot be read.</exception>
    public Certificates(string certificate, string key, string authority)
    {
        try
        {
            using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(certificate, key);
            // TLS on Windows needs a key that stands in a store of keys, where this puts it.
            _own = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
            _authority = X509Certificate2.CreateFromPem(File.ReadAllText(authority));
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ClusterException($"--tls-certificate {certificate}, --tls-key {key}, --tls-authority {authority}: {e.Message}", e);
        }
    }

    /// <summary>Makes a silo use them.</summary>
    public void Configure(ISiloBuilder silo) => silo.UseTls(options =>
    {
        options.LocalCertificate = _own;
        options.RemoteCertificateMode = options.ClientCertificateMode = RemoteCertificateMode.RequireCertificate;
        options.RemoteCertificateValidation = (remote, _, _) => IsSigned(remote);
        options.OnAuthenticateAsClient = (_, authentication) => authentication.TargetHost = "mamba-cluster";
    });

    /// <summary>Whether the authority has signed a certificate that is valid now.</summary>
    internal bool IsSigned(X509Certificate2 certificate)
    {
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(_authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck; // an authority of a lab has no list of revoked certificates
        return chain.Build(certificate);
    }
}
