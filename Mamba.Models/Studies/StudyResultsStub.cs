using System.Text.Json;
using Mamba.Models.Data;

namespace Mamba.Models.Studies;

/// <summary>Reads <c>results.json</c>; stands in for the method of the same name of <see cref="StudyResults"/>.</summary>
public static class StudyResultsReading
{
    extension(StudyResults)
    {
        /// <summary>Reads the results of a study.</summary>
        /// <param name="path">The file.</param>
        /// <returns>Its content.</returns>
        /// <exception cref="DatasetException">It cannot be read, or is malformed.</exception>
        public static StudyResults Read(string path)
        {
            try
            {
                return JsonSerializer.Deserialize(File.ReadAllBytes(path), StudyJson.Default.StudyResults)
                    ?? throw new DatasetException($"{path}: null; expected the results of a study");
            }
            catch (Exception e) when (e is JsonException or UnauthorizedAccessException or (IOException and not DatasetException))
            {
                throw new DatasetException($"{path}: no results of a study: {e.Message}; 'mamba study run' writes them", e);
            }
        }
    }
}
